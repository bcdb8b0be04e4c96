-- Both ends of each row are real members, and the weights of a movie add up to one movie.
select
    movie_key,
    count(*) filter (where genre_key = {{ unknown_key() }}) as unknown_genres,
    sum(weight) as weight
from {{ ref('bridge_movie_genre') }}
group by movie_key
having
    movie_key = {{ unknown_key() }}
    or count(*) filter (where genre_key = {{ unknown_key() }}) > 0
    or abs(sum(weight) - 1) > 1e-9
