-- 5,000 movies in 20 genres, each movie in two or three.
insert into silver.genres (genre_id, name, _lake_version)
select n, 'Genre ' || n, 1 from generate_series(1, 20) as n;

insert into silver.movies (movie_id, title, fetched_at, content_hash, is_deleted, _lake_version)
select n, 'Movie ' || n, '2024-01-01 00:00+00', repeat('0', 64), false, 1
from generate_series(1, 5000) as n;

insert into silver.movie_genres (movie_id, genre_id, _lake_version)
select distinct n, 1 + (n * factor) % 20, 1
from generate_series(1, 5000) as n, unnest(array[1, 7, 13]) as factor;

insert into silver.movie_versions
    (movie_id, valid_from, is_current, title, popularity_bucket, genre_ids, _lake_version)
select n, '2024-01-01 00:00+00', true, 'Movie ' || n, 'unknown', string_agg(genre_id::text, ','), 1
from generate_series(1, 5000) as n
join silver.movie_genres on movie_id = n
group by n;
