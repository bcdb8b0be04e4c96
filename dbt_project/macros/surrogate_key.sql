{#
    A positive bigint from the natural key: the first 63 bits of the MD5 of its columns.

    It depends on nothing but the natural key, so that `gold` and `gold_next`, an increment and a full refresh
    agree on it, and it can never be -1, the unknown member. An array's text form quotes each value:
    ('a,b', 'c') and ('a', 'b,c') differ. Two natural keys of 100 million share a key with a
    probability of 1 in 2,000; the primary key would refuse the second one.
#}
{% macro surrogate_key(columns) -%}
    (
        cast(
            cast(
                'x' || left(
                    md5(
                        cast(
                            array[
                                {%- for column in columns -%}
                                    cast({{ column }} as text){{ ', ' if not loop.last }}
                                {%- endfor -%}
                            ] as text
                        )
                    ), 16
                ) as bit(64)
            ) as bigint
        ) & 9223372036854775807
    )
{%- endmacro %}


{# The key of a version of a member. Microseconds, as the text form of a time depends on the connection's time zone. #}
{% macro version_key(member_id, valid_from) -%}
    {{ surrogate_key([
        member_id, 'cast(extract(epoch from ' ~ valid_from ~ ') * 1000000 as bigint)'
    ]) }}
{%- endmacro %}


{#
    The key of a version of a user: for the first one of the user id alone, as most users have no other, and whatever
    comes to be known of the user's beginnings leaves it alone.
#}
{% macro user_version_key(user_id, version_number, valid_from) -%}
    case
        when {{ version_number }} = 1 then {{ surrogate_key([user_id]) }}
        else {{ version_key(user_id, valid_from) }}
    end
{%- endmacro %}


{# The last value of a column that is not null, up to the row, in a window that ends with the row. #}
{% macro latest_so_far(column, window) -%}
    (array_agg({{ column }}) filter (where {{ column }} is not null) over {{ window }})[
        count({{ column }}) over {{ window }}
    ]
{%- endmacro %}


{# Condition: the version of a movie or user is the one for a time. The first holds for all time before. #}
{% macro version_covers(version, moment) -%}
    ({{ version }}.version_number = 1 or {{ moment }} >= {{ version }}.valid_from)
    and ({{ version }}.valid_to is null or {{ moment }} < {{ version }}.valid_to)
{%- endmacro %}


{# The key of the unknown member of every dimension. #}
{% macro unknown_key() -%} -1 {%- endmacro %}


{# The UTC date of a timestamp, whatever the time zone of the connection. #}
{% macro utc_date(column) -%}
    cast({{ column }} at time zone 'UTC' as date)
{%- endmacro %}
