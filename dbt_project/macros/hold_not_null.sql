{#
    Post-hook: what the contract declares never null is a constraint of the table, also of a column that an increment has
    appended; dbt itself makes constraints only with a table. A null in such a column fails the build.
#}
{% macro hold_not_null() -%}
    {% if is_incremental() %}
        do $$
        declare
            changes text;
        begin
            select string_agg(format('alter column %I set not null', attname), ', ')
            into changes
            from pg_attribute
            where attrelid = '{{ this }}'::regclass
            and not attnotnull
            and attname in (
                {%- for name, column in model.columns.items()
                    if column.constraints | selectattr('type', 'equalto', 'not_null') | list %}
                '{{ name }}',
                {%- endfor %}
                null
            );
            if changes is not null then
                execute 'alter table {{ this }} ' || changes;
            end if;
        end
        $$
    {% endif %}
{%- endmacro %}
