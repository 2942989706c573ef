-- Tenants are the one table that is read without a tenant: operators list it, and every process goes through it when it has
-- work over all tenants. What belongs to a tenant lives in the tables of the next migrations, behind row-level security.
CREATE TABLE tenancy.tenants (
  tenant_id uuid PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE CHECK (id ~ '^[a-z][a-z0-9-]{1,31}$'),
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 128),
  currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
  residency text[] NOT NULL CHECK (cardinality(residency) BETWEEN 1 AND 249),
  state text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'SUSPENDED')),
  -- Changes with every creation and revocation of an API key, so that watchers re-read only the tenants that changed.
  keys_version bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL
);
REVOKE DELETE ON tenancy.tenants FROM allod_tenancy;

-- Request ids of operators' mutations, whose subject is not yet a tenant.
CREATE TABLE tenancy.operator_request_ids (
  request_id uuid PRIMARY KEY,
  payload_sha256 text NOT NULL,
  resource_id text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now()
);
REVOKE UPDATE, DELETE ON tenancy.operator_request_ids FROM allod_tenancy;
