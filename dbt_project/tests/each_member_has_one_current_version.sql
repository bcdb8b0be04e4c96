{% set dimensions = {'dim_movie': 'movie_id', 'dim_user': 'user_id'} %}

{% for dimension, natural_key in dimensions.items() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ dimension }}' as dimension,
        cast({{ natural_key }} as text) as member,
        count(*) filter (where is_current) as current_versions
    from {{ ref(dimension) }}
    group by {{ natural_key }}
    having count(*) filter (where is_current) <> 1
{% endfor %}
