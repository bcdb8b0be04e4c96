-- Generated from lakehouse/contracts by `python -m lakehouse.generate`. Do not edit.
{{ config(group='product') }}
{% set declared = [] %}
{% do declared.extend(constraints_of_model(ref('genre_trends'))) %}
{% do declared.extend(constraints_of_model(ref('int_event_places'))) %}
{% do declared.extend(constraints_of_model(ref('int_genre_months'))) %}
{% do declared.extend(constraints_of_model(ref('int_play_places'))) %}
{% do declared.extend(constraints_of_model(ref('int_session_steps'))) %}
{% do declared.extend(constraints_of_model(ref('int_user_days'))) %}
{% do declared.extend(constraints_of_model(ref('movie_daily'))) %}
{% do declared.extend(constraints_of_model(ref('movie_popularity'))) %}
{% do declared.extend(constraints_of_model(ref('movie_recommendations'))) %}
{% do declared.extend(constraints_of_model(ref('session_funnel'))) %}
{% do declared.extend(constraints_of_model(ref('similar_movies'))) %}
{% do declared.extend(constraints_of_model(ref('user_activity'))) %}
{% do declared.extend(constraints_of_model(ref('user_retention'))) %}
{{ missing_constraints(declared) }}
