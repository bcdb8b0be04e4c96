-- Twenty movies for each user and movie, as a model would leave them; the last hundred movies are like no other.
insert into silver.movie_recommendations
    (user_id, movie_id, rank, score, predicted_rating, basis, because_movie_id, model_id, _lake_version)
select
    user_id, 1 + (hashtext(user_id)::bigint & 1023) * 4 + rank, rank, 1.0 / rank, 8, 'taste',
    1 + (hashtext(user_id)::bigint & 1023), repeat('0', 64), 1
from silver.users, generate_series(1, 20) as rank;

insert into silver.similar_movies
    (movie_id, similar_movie_id, rank, score, basis, model_id, _lake_version)
select movie_id, 1 + (movie_id + rank * 37) % 5000, rank, 1.0 / rank, 'content', repeat('0', 64), 1
from silver.movies, generate_series(1, 20) as rank
where movie_id <= 4900;
