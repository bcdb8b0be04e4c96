-- Generated from lakehouse/contracts by `python -m lakehouse.generate`. Do not edit.
{{ config(group='core') }}
{% set declared = [] %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_cast'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_company'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_country'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_crew'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_genre'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_keyword'))) %}
{% do declared.extend(constraints_of_model(ref('bridge_movie_language'))) %}
{% do declared.extend(constraints_of_model(ref('comment_votes'))) %}
{% do declared.extend(constraints_of_model(ref('comments'))) %}
{% do declared.extend(constraints_of_model(ref('dim_company'))) %}
{% do declared.extend(constraints_of_model(ref('dim_country'))) %}
{% do declared.extend(constraints_of_model(ref('dim_date'))) %}
{% do declared.extend(constraints_of_model(ref('dim_genre'))) %}
{% do declared.extend(constraints_of_model(ref('dim_keyword'))) %}
{% do declared.extend(constraints_of_model(ref('dim_language'))) %}
{% do declared.extend(constraints_of_model(ref('dim_movie'))) %}
{% do declared.extend(constraints_of_model(ref('dim_person'))) %}
{% do declared.extend(constraints_of_model(ref('dim_session'))) %}
{% do declared.extend(constraints_of_model(ref('dim_user'))) %}
{% do declared.extend(constraints_of_model(ref('dim_user_personal'))) %}
{% do declared.extend(constraints_of_model(ref('fact_user_event'))) %}
{% do declared.extend(constraints_of_model(ref('int_user_upserts'))) %}
{% do declared.extend(constraints_of_model(ref('int_user_versions'))) %}
{% do declared.extend(constraints_of_model(ref('movie_reactions'))) %}
{% do declared.extend(constraints_of_model(ref('ratings'))) %}
{% do declared.extend(constraints_of_model(ref('watch_history'))) %}
{% do declared.extend(constraints_of_model(ref('watchlist'))) %}
{{ missing_constraints(declared) }}
