{#
    Query: the constraints that were declared of tables and are not there. What a constraint holds no test asks of the rows.

    Args:
        declared: One list a constraint: the table, `not_null` or `unique`, and the columns; or `check`, and the
            condition, as PostgreSQL says it, but for parentheses and casts. A primary key is one of the first
            two kinds each.
#}
{% macro missing_constraints(declared) -%}
    {{ name_constraints(declared) }}
    with declared (table_name, kind, column_names) as (

        values
        {% for table, kind, columns in declared %}
            ('{{ table }}', '{{ kind }}', array['{{ columns | sort | join("','") | replace(' ', '') }}'])
            {{- ',' if not loop.last }}
        {% else %}
            (null, null, array[null])
        {% endfor %}

    ),

    held as (

        select
            attrelid as table_oid,
            'not_null' as kind,
            array[cast(attname as text)] as column_names
        from pg_attribute
        where
            attnotnull
            and attnum > 0
            and not exists (
                select from pg_constraint
                where
                    conrelid = attrelid
                    and contype = 'n'
                    and conkey = array[attnum]
                    and not convalidated
            )
        union all
        select
            indrelid as table_oid,
            'unique' as kind,
            (
                select array_agg(cast(attname as text) order by cast(attname as text) collate "C")
                from pg_attribute
                where attrelid = indrelid and attnum = any(indkey)
            ) as column_names
        from pg_index
        where
            indisunique
            and indisvalid
            and indpred is null
            and indexprs is null
            and indnkeyatts = indnatts
        union all
        select
            conrelid as table_oid,
            'check' as kind,
            array[
                regexp_replace(
                    lower(pg_get_expr(conbin, conrelid)),
                    '::(double precision|integer|bigint|numeric)|[() '']',
                    '',
                    'g'
                )
            ] as column_names
        from pg_constraint
        where contype = 'c' and convalidated

    )

    select
        declared.table_name,
        declared.kind,
        declared.column_names
    from declared
    left join held
        on
            to_regclass(declared.table_name) = held.table_oid
            and declared.kind = held.kind
            and declared.column_names = held.column_names
    -- A table that is not built yet, as in a schema of one's own, lacks nothing.
    where to_regclass(declared.table_name) is not null and held.table_oid is null
{%- endmacro %}


{#
    The constraints that a model declares in its description and its indexes, as `missing_constraints` takes them.

    Args:
        table: The model's.
#}
{% macro constraints_of_model(table) -%}
    {% set found = [] %}
    {% set kinds = {'primary_key': 'unique'} %}
    {% if execute %}
        {% set model = graph.nodes['model.' ~ project_name ~ '.' ~ table.identifier] %}
        {% for column, described in model.columns.items() %}
            {% for constraint in described.constraints %}
                {% set is_check = constraint.type == 'check' %}
                {% set what = constraint.expression if is_check else column %}
                {% do found.append([table, kinds.get(constraint.type, constraint.type), [what]]) %}
            {% endfor %}
        {% endfor %}
        {% for constraint in model.constraints if constraint.columns %}
            {% set kind = kinds.get(constraint.type, constraint.type) %}
            {% do found.append([table, kind, constraint.columns]) %}
        {% endfor %}
        {% for index in model.config.indexes or [] if index.unique %}
            {% do found.append([table, 'unique', index.columns]) %}
        {% endfor %}
    {% endif %}
    {% do return(found) %}
{%- endmacro %}


{# Tell whoever runs the tests what constraints keep, a line a table. #}
{% macro name_constraints(declared) -%}
    {% if execute and flags.WHICH in ['build', 'test'] %}
        {% set kept = {} %}
        {% for table, kind, columns in declared %}
            {% do kept.setdefault(table | string, []).append(kind ~ ' (' ~ columns | join(', ') ~ ')') %}
        {% endfor %}
        {% for table, rules in kept.items() %}
            {% do log(table ~ ' is kept by constraints: ' ~ rules | join(', '), info=true) %}
        {% endfor %}
    {% endif %}
{%- endmacro %}
