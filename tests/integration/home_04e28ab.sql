-- What version 04e28ab left in PostgreSQL: its `cinelake/stack/bootstrap.sql` as it was, and the table of its keys.

-- The roles and schemas of Cinelake. Run by `cinelake/stack/postgres.py` in one transaction; safe to repeat.
-- Who runs it owns the database. The analyst's password is set after it, from ANALYST_PASSWORD.

-- Two that start at once wait for each other here.
select pg_advisory_xact_lock(hashtext('cinelake bootstrap'));

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
end
$$;

-- The owner takes on each of them with `set role`.
grant loader, transformer, analyst to current_user;

-- The analyst reads gold, and cannot hold up the swap of its schemas with a query left lying open.
alter role analyst set default_transaction_read_only = on;
alter role analyst set search_path = gold;
alter role analyst set statement_timeout = '60s';
alter role analyst set idle_in_transaction_session_timeout = '60s';

-- Nobody makes anything unasked: neither tables in public nor temporary ones.
revoke create on schema public from public;

do $$
begin
    execute format('revoke create, temporary on database %I from public', current_database());
    execute format('grant connect on database %I to analyst', current_database());
    execute format('grant create, temporary on database %I to loader, transformer', current_database());
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
-- Not the sample: it holds values of rows that analysts never see.
revoke select on ops.gate_results from analyst;
grant select (
    run_id, gate, table_name, rule, success, severity, observed, expected, rows_checked, unexpected_count,
    gate_seconds, data_docs, recorded_at
) on ops.gate_results to analyst;

reset role;

set local role loader;
create table ops.api_keys (
    key_id text primary key,
    name text not null,
    scope text not null default 'write',
    salt bytea not null,
    digest bytea not null,
    requests_per_second double precision,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create unique index api_keys_active_name on ops.api_keys (name) where revoked_at is null;
revoke all on ops.api_keys from analyst;
reset role;
