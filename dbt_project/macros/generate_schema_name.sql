{# A model's own schema (staging) is used as it is; all others go to the schema of the target.

    In a sandbox all go there: gold reads the views of `staging`, so that they would change under it.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name and target.name != 'sandbox' else target.schema }}
{%- endmacro %}
