{#
    Post-hook: statistics of a table that was just built, as it has none and is queried at once. After an increment it keeps
    those it has, which autovacuum renews in its time; to take a new sample would cost more than most increments.
#}
{% macro analyze_fresh() -%}
    {% if not is_incremental() %}
        analyze {{ this }}
    {% endif %}
{%- endmacro %}
