{{ config(
    group='product',
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['genre_key', 'month_start'],
    on_schema_change='append_new_columns',
    post_hook="{{ delete_empty() }}"
) }}

{% set event_places = ref('int_event_places') %}

with movie_genres as (

    select
        movie_id,
        genre_key
    from {{ ref('bridge_movie_genre') }}

),

-- When the movies of a genre change, so does its whole past.
genres as (

    select
        genre_key,
        bit_xor({{ surrogate_key(['movie_id']) }}) as movies_fingerprint
    from movie_genres
    group by genre_key

),

{% if is_incremental() %}
    counted as (

        select distinct
            genre_key,
            movies_fingerprint
        from {{ this }}

    ),

    changed_months as (

        select distinct
            movie_id,
            {{ utc_month("cast(activity_date as timestamp) at time zone 'UTC'") }} as month_start
        from {{ event_places }}
        where movie_id is not null and {{ after_watermark() }}

    ),

    changed_genres as (

        select coalesce(genres.genre_key, counted.genre_key) as genre_key
        from genres
        full join counted on genres.genre_key = counted.genre_key
        where genres.movies_fingerprint is distinct from counted.movies_fingerprint

    ),

    changed as (

        select
            movie_genres.genre_key,
            changed_months.month_start
        from changed_months
        inner join movie_genres on changed_months.movie_id = movie_genres.movie_id
        union
        select
            held.genre_key,
            held.month_start
        from {{ this }} as held
        inner join changed_genres on held.genre_key = changed_genres.genre_key
        union
        -- A movie may have been seen in months in which its genre, until now, was not.
        select
            movie_genres.genre_key,
            {{ utc_month("cast(places.activity_date as timestamp) at time zone 'UTC'") }}
                as month_start
        from changed_genres
        inner join movie_genres on changed_genres.genre_key = movie_genres.genre_key
        inner join {{ event_places }} as places on movie_genres.movie_id = places.movie_id

    ),

    spans as (

        select distinct
            cast(month_start as timestamp) at time zone 'UTC' as starts_at,
            (cast(month_start as timestamp) + interval '1 month') at time zone 'UTC' as ends_at
        from changed

    ),
{% endif %}

events as (

    select
        facts.movie_id,
        {{ utc_month('facts.occurred_at') }} as month_start,
        facts.visitor_id,
        facts.event_type,
        facts.rating,
        facts.lake_version
    from {{ ref('fact_user_event') }} as facts
    {% if is_incremental() %}
        inner join spans
            on facts.occurred_at >= spans.starts_at and facts.occurred_at < spans.ends_at
    {% endif %}
    where facts.movie_id is not null and facts.is_bot is not true

),

movie_months as (

    select
        movie_id,
        month_start,
        visitor_id,
        count(*) as event_count,
        count(*) filter (where event_type = 'play') as play_count,
        count(*) filter (where event_type = 'rating') as rating_count,
        sum(rating) filter (where event_type = 'rating') as rating_sum,
        max(lake_version) as lake_version
    from events
    group by movie_id, month_start, visitor_id

),

visitor_months as (

    select
        movie_genres.genre_key,
        movie_months.month_start,
        movie_months.visitor_id,
        sum(movie_months.event_count) as event_count,
        sum(movie_months.play_count) as play_count,
        sum(movie_months.rating_count) as rating_count,
        sum(movie_months.rating_sum) as rating_sum,
        max(movie_months.lake_version) as lake_version
    from movie_months
    inner join movie_genres on movie_months.movie_id = movie_genres.movie_id
    group by movie_genres.genre_key, movie_months.month_start, movie_months.visitor_id

),

summed as (

    select
        genre_key,
        month_start,
        cast(sum(event_count) as bigint) as event_count,
        count(*) as visitor_count,
        cast(sum(play_count) as bigint) as play_count,
        cast(sum(rating_count) as bigint) as rating_count,
        sum(rating_sum) / nullif(cast(sum(rating_count) as double precision), 0) as mean_rating,
        max(lake_version) as lake_version
    from visitor_months
    group by genre_key, month_start

),

groups as (

    select
        genre_key,
        month_start
    from {% if is_incremental() %}changed{% else %}summed{% endif %}

),

final as (

    select
        ---------- ids
        groups.genre_key,
        groups.month_start,

        ---------- measures
        coalesce(summed.event_count, 0) as event_count,
        coalesce(summed.visitor_count, 0) as visitor_count,
        coalesce(summed.play_count, 0) as play_count,
        coalesce(summed.rating_count, 0) as rating_count,
        summed.mean_rating,

        ---------- lineage
        genres.movies_fingerprint,
        coalesce(summed.lake_version, {{ unknown_key() }}) as lake_version
    from groups
    left join summed
        on groups.genre_key = summed.genre_key and groups.month_start = summed.month_start
    left join genres on groups.genre_key = genres.genre_key

)

select * from final
