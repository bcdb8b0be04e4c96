{#
    Post-hook: takes a table from the role `analyst`, which PostgreSQL lets read whatever the transformer makes, and gives it
    to another role or to nobody.

    In the transaction that makes the table, so that no reader is before it. The rights go with the table when it is swapped.
    `bootstrap.sql` does the same by the names: `int_...`, which nobody reads, and `..._personal`.
#}
{% macro readable_by(role=none) -%}
    revoke all on {{ this }} from analyst
    {%- if role %};
        grant select on {{ this }} to {{ role }}
    {%- endif %}
{%- endmacro %}
