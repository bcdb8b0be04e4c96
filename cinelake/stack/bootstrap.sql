-- The roles and schemas of Cinelake. Run by `cinelake/stack/postgres.py` in one transaction; safe to repeat.
-- Who runs it owns the database. The passwords of both analysts are set after it, from the settings.
-- The setting `cinelake.server_is_ours` tells whether Cinelake started the server. The last query tells what the analyst may do
-- beyond reading, because the owner cannot take it away, or because others may need it.

-- `grant` and `create … if not exists` tell what was there already: no news.
set local client_min_messages = warning;

do $$
begin
    if not exists (select from pg_roles where rolname = 'loader') then
        create role loader nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'transformer') then
        create role transformer nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'analyst') then
        create role analyst login;
    end if;
    if not exists (select from pg_roles where rolname = 'analyst_pii') then
        create role analyst_pii nologin;
    end if;
end
$$;

-- The owner takes on each of them with `set role`.
grant loader, transformer, analyst, analyst_pii to current_user;

-- Who reads personal data reads whatever the analyst does; not as the analyst, whose password it could change.
grant analyst to analyst_pii with inherit true, set false;

-- Both read gold, and cannot hold up the swap of its schemas with a query left lying open. These are defaults: a
-- session may set others, which `analyst.py` looks after. Each begins with these alone, in every database.
do $$
declare
    reader regrole;
    name text;
begin
    foreach reader in array '{analyst, analyst_pii}'::regrole[] loop
        execute format('alter role %s connection limit 25', reader);
        execute format('alter role %s reset all', reader);
        for name in
            select datname from pg_db_role_setting join pg_database on pg_database.oid = setdatabase
            where setrole = reader
        loop
            execute format('alter role %s in database %I reset all', reader, name);
        end loop;
        execute format('alter role %s set default_transaction_read_only = on', reader);
        execute format('alter role %s set search_path = gold', reader);
        execute format($set$alter role %s set statement_timeout = '60s'$set$, reader);
        execute format($set$alter role %s set idle_in_transaction_session_timeout = '60s'$set$, reader);
    end loop;
end
$$;

-- Nobody makes anything unasked, neither tables in public nor temporary ones: on a server that Cinelake started in whichever
-- database, on another in ours alone, as somebody else's may need it there.
revoke create on schema public from public;

do $$
declare
    name text;
begin
    for name in
        select datname from pg_database
        where pg_get_userbyid(datdba) = current_user and datallowconn
        and (datname = current_database() or current_setting('cinelake.server_is_ours') = 'on')
        and (
            has_database_privilege('public', oid, 'connect')
            or has_database_privilege('public', oid, 'temporary')
        )
    loop
        execute format('revoke connect, temporary on database %I from public', name);
    end loop;
    execute format('revoke create on database %I from public', current_database());
    execute format('grant connect on database %I to analyst', current_database());
    execute format('grant create, temporary on database %I to loader, transformer', current_database());
end
$$;

-- What reaches beyond a session of one's own: advisory locks, large objects, other sessions, the log of what is written.
set local cinelake.reaching_functions =
'^(pg_(try_)?advisory_.*|lo_.*|loread|lowrite|pg_(cancel|terminate)_backend|pg_logical_emit_message)$';

-- These are PostgreSQL's own, so that a superuser alone can take them from everybody; as alone a superuser sets this limit.
do $$
declare
    callable regprocedure;
begin
    if current_setting('is_superuser') = 'off' then
        return;
    end if;
    alter role analyst set temp_file_limit = '1GB';
    alter role analyst_pii set temp_file_limit = '1GB';
    for callable in
        select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and proname ~ current_setting('cinelake.reaching_functions')
            and has_function_privilege('public', oid, 'execute')
    loop
        execute format('grant execute on function %s to loader, transformer', callable);
        execute format('revoke execute on function %s from public', callable);
    end loop;
end
$$;

create schema if not exists silver authorization loader;
create schema if not exists ops authorization loader;
create schema if not exists staging authorization transformer;
create schema if not exists gold authorization transformer;
create schema if not exists gold_next authorization transformer;

-- What the loader writes, the transformer reads; of it the analyst sees the operational figures alone.
grant usage on schema silver, ops to transformer;
grant select on all tables in schema silver, ops to transformer;
alter default privileges for role loader in schema silver grant select on tables to transformer;
alter default privileges for role loader in schema ops
    grant select on tables to transformer, analyst;
grant usage on schema ops to analyst;
grant select on all tables in schema ops to analyst;
-- Not the digests of the API's keys, also when this runs again once they are there.
do $$
begin
    if to_regclass('ops.api_keys') is not null then
        revoke all on ops.api_keys from analyst;
    end if;
end
$$;
revoke all on schema silver from analyst;

-- Whatever the transformer makes, the analyst may read once it is in gold: `usage` on the schema is the door,
-- so that a table that is built in gold_next needs no grant of its own when that becomes gold.
alter default privileges for role transformer grant select on tables to analyst;
grant usage on schema gold to analyst;
grant select on all tables in schema gold to analyst;
revoke all on schema staging, gold_next from analyst;

-- But for what `readable_by` takes from the analyst: what only models read, and who the users are. A home of before has that
-- of its users in `dim_user`.
do $$
declare
    relation record;
begin
    for relation in
        select oid::regclass as name, relname like '%\_personal' as is_personal from pg_class
        where relnamespace in ('gold'::regnamespace, 'gold_next'::regnamespace)
            and relkind in ('r', 'p', 'v') and (relname like 'int\_%' or relname like '%\_personal')
    loop
        execute format('revoke all on %s from analyst', relation.name);
        if relation.is_personal then
            execute format('grant select on %s to analyst_pii', relation.name);
        end if;
    end loop;
    for relation in
        select attrelid::regclass as name, attname from pg_attribute
        where attrelid in (to_regclass('gold.dim_user'), to_regclass('gold_next.dim_user'))
            and attname in ('name', 'birth_year')
    loop
        execute format('alter table %s drop column %I', relation.name, relation.attname);
    end loop;
end
$$;

-- What runs leave behind. It is made here, so that the marts of it can be built before the first run has ended.
set local role loader;

create table if not exists ops.watermarks (
    table_name text primary key,
    lake_version bigint not null,
    loaded_at timestamptz not null default now()
);

create table if not exists ops.ledger (
    run_id text not null,
    recorded_at timestamptz not null default now(),
    hop text not null,
    rows bigint not null,
    primary key (run_id, hop)
);

create table if not exists ops.gate_results (
    run_id text not null,
    gate text not null,
    table_name text not null,
    rule text not null,
    success boolean not null,
    observed text not null,
    expected text not null,
    rows_checked bigint not null,
    recorded_at timestamptz not null default now()
);
alter table ops.gate_results
add column if not exists unexpected_count bigint not null default 0,
add column if not exists sample jsonb not null default '[]',
add column if not exists gate_seconds double precision not null default 0,
add column if not exists severity text not null default 'block',
add column if not exists data_docs text not null default '';
-- Whoever asks for the last check of a gate, as the exporter does, need not read all of them.
create index if not exists gate_results_by_gate on ops.gate_results (gate, recorded_at);
create index if not exists gate_results_by_run on ops.gate_results (run_id);
-- Not the sample: it holds values of rows that analysts never see. That the analyst may not read the whole table also makes
-- `drop owned by analyst`, which would take the default privileges above, fail for the analyst itself.
revoke select on ops.gate_results from analyst;
grant select (
    run_id, gate, table_name, rule, success, severity, observed, expected, rows_checked, unexpected_count,
    gate_seconds, data_docs, recorded_at
) on ops.gate_results to analyst;

reset role;

select format('connect to the database %s', datname) from pg_database
where datallowconn and datname <> current_database() and has_database_privilege('public', oid, 'connect')
union all
select 'make temporary tables' where has_database_privilege('analyst', current_database(), 'temporary')
union all
select format('call %s', string_agg(distinct proname, ', ' order by proname)) from pg_proc
where pronamespace = 'pg_catalog'::regnamespace
    and proname ~ current_setting('cinelake.reaching_functions')
    and has_function_privilege('analyst', oid, 'execute')
having count(*) > 0
union all
select 'change its password unseen' where current_setting('is_superuser') = 'off'
union all
select distinct 'write temporary files without a limit'
from unnest('{analyst, analyst_pii}'::regrole[]) as reader
where not exists (
    select from pg_db_role_setting
    where setrole = reader and array_to_string(setconfig, ' ') like '%temp_file_limit%'
);
