{# Generic test: the table has each constraint and unique index that its model declares. #}
{% test has_its_constraints(model) %}
    {{ missing_constraints(constraints_of_model(model)) }}
{% endtest %}
