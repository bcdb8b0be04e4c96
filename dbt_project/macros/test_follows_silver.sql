{#
    Generic test: the model holds every row of silver in its latest version, and no other.

    It compares with silver as it is now. While something is being published beside a build, a row may be
    reported that the next build brings; that is better than a test which only looks up to the watermark and
    so finds nothing missing in a table that has lost its newest rows.

    Args:
        staging: The staging model with lake_version.
        key: Columns that name a row, in both.
        gone: Condition on the staging row, alias `silver`, for rows the model must not hold.
#}
{% test follows_silver(model, staging, key, gone='silver.is_deleted') %}
    with
    expected as (
        select {{ key | join(', ') }}, lake_version
        from {{ staging }} as silver
        where not ({{ gone }})
    ),

    found as (
        select {{ key | join(', ') }}, lake_version
        from {{ model }}
        where lake_version > {{ unknown_key() }}
    )

    (select *, 'missing or outdated' as problem from expected
    except
    select *, 'missing or outdated' as problem from found)
    union all
    (select *, 'not in silver' as problem from found
    except
    select *, 'not in silver' as problem from expected)
{% endtest %}
