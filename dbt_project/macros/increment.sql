{#
    Increments follow the lake, never a clock.

    Every silver row carries the Delta version in which it last changed. A model has processed all rows up to its
    watermark, the highest version among its own rows. A version is published in one transaction, so none
    arrives in two parts. Each of `gold` and `gold_next` keeps its own watermark that way and catches up by itself.
#}

{#
    Condition: the row changed after this model's watermark.

    The planner cannot know the watermark. Of a range that is open above it expects a third of the table, of one with
    two ends half a percent, which is how increments are; so the range has an end, above all versions.

    Args:
        column: The row's lake version.
        mark: The column here that keeps the highest version of what the row comes from. Versions of two silver tables
            cannot be compared, so a model that reads two keeps two marks.
#}
{% macro after_watermark(column='lake_version', mark='lake_version') -%}
    {{ column }} > (
        select coalesce(max(processed.{{ mark }}), -1) from {{ this }} as processed
    )
    and {{ column }} <= (select 9223372036854775807)
{%- endmacro %}


{#
    Condition that always holds and has the planner expect few rows, as in `after_watermark`.

    The sum keeps it from the index on the column, which would lead to every row.
#}
{% macro of_few_rows(column='lake_version') -%}
    {{ column }} + 0 >= (select -1) and {{ column }} + 0 <= (select 9223372036854775807)
{%- endmacro %}


{#
    To be cross-joined: the rows of a table for each row before it, found by an index on the column in the condition.

    Left to itself the planner reads a whole table once it expects many rows; `offset` keeps it from that.

    Args:
        relation: The table, here called `looked_up`.
        condition: What its rows have to do with those before.
        columns: What is wanted of it.
#}
{% macro looked_up(relation, condition, columns='*') -%}
    lateral (
        select {{ columns }}
        from {{ relation }} as looked_up
        where {{ condition }}
        offset 0
    )
{%- endmacro %}


{#
    Pre-hook: note the watermark from before the merge, for `delete_gone` after it.

    The setting is local to the transaction, in which dbt runs hooks and merge together.
#}
{% macro note_watermark() -%}
    {% if is_incremental() %}
        select set_config('cinelake.watermark', cast(max(lake_version) as text), true) from {{ this }}
    {% endif %}
{%- endmacro %}


{#
    Post-hook: delete the rows that silver has marked as gone since the noted watermark.

    It looks at silver after the merge did, so it sees at least every removal the merge has passed over. A removal
    published in between is deleted now instead of in the next run. On a table that was just built
    there is no noted watermark and nothing to delete.

    Args:
        source: The staging model, with lake_version.
        key: Columns that name a row, in the source and here.
        gone: Condition on the source's row, under the alias `removed`.
#}
{% macro delete_gone(source, key, gone='removed.is_deleted') -%}
    {% if is_incremental() %}
        delete from {{ this }} as target
        using {{ source }} as removed
        where ({{ gone }})
        and removed.lake_version
            > cast(nullif(current_setting('cinelake.watermark', true), '') as bigint)
        {% for column in key %} and removed.{{ column }} = target.{{ column }} {% endfor %}
    {% endif %}
{%- endmacro %}


{#
    Query: the rows of this model whose dimension member has come or gone since they were written.

    A fact may be visible before its movie, user or session is; it then points to the unknown member and is
    pointed anew once the member exists. A fact whose member is gone goes back to the unknown one. A fact whose
    member has versions moves when a new version cuts its time off the old one; each closed version costs two looks
    into the index on the key and the time, however many facts there are.

    Args:
        row_key: Columns that name a row here.
        pointers: One dictionary a dimension: `key` (the column here), `natural` (column or expression
            here), `dimension` (relation), `member` (its natural column) and, where members can go, `gone`
            (query of the keys that no member has any more); for a dimension with versions also `moment`
            (the time here).
#}
{% macro rows_to_repoint(row_key, pointers) -%}
    {% for pointer in pointers %}
        {{ 'union' if not loop.first }}
        select {{ row_key | join(', ') }}
        from {{ this }}
        where {{ pointer.key }} = {{ unknown_key() }}
        -- Those without an id, such as anonymous visitors, are many; an index on both passes over them.
        and {{ pointer.natural }} is not null
        and {{ of_few_rows() }}
        and {{ pointer.natural }} in (select {{ pointer.member }} from {{ pointer.dimension }})
        {% if pointer.gone %}
            union
            select pointing.*
            from ({{ pointer.gone }}) as gone (member_key)
            cross join {{ looked_up(
                this,
                'looked_up.' ~ pointer.key ~ ' = gone.member_key and ' ~ of_few_rows(),
                row_key | join(', ')
            ) }} as pointing
        {% endif %}
        {% if pointer.moment %}
            union
            select {{ row_key | join(', ') }}
            from {{ this }} as target
            inner join (
                select
                    {{ pointer.key }} as version_key,
                    valid_to
                from {{ pointer.dimension }}
                where valid_to is not null
            ) as closed on target.{{ pointer.key }} = closed.version_key
            where target.{{ pointer.moment }} >= closed.valid_to
            union
            select {{ row_key | join(', ') }}
            from {{ this }} as target
            inner join (
                select
                    {{ pointer.key }} as version_key,
                    valid_from
                from {{ pointer.dimension }}
                where version_number > 1
            ) as later on target.{{ pointer.key }} = later.version_key
            where target.{{ pointer.moment }} < later.valid_from
        {% endif %}
    {% endfor %}
{%- endmacro %}
