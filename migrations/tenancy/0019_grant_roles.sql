-- Members and workload rules name custom roles by id. A role that is named stays, under the lock of the tenant's row.
ALTER TABLE tenancy.members
  ADD COLUMN tenant_custom_roles text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tenant_custom_roles) <= 4),
  -- Of each of grant_projects, with commas between them; empty: of none.
  ADD COLUMN grant_custom_roles text[] NOT NULL DEFAULT '{}'
    CHECK (cardinality(grant_custom_roles) IN (0, cardinality(grant_projects))),
  DROP CONSTRAINT members_check3,
  ADD CONSTRAINT members_grants_check
    CHECK (cardinality(tenant_roles) + cardinality(tenant_custom_roles) + cardinality(grant_projects) > 0);
ALTER TABLE tenancy.workload_rules
  ADD COLUMN custom_roles text[] NOT NULL DEFAULT '{}' CHECK (cardinality(custom_roles) <= 4),
  DROP CONSTRAINT workload_rules_check2,
  ADD CONSTRAINT workload_rules_roles_check
    CHECK (cardinality(roles) <= 8 AND (cardinality(roles) + cardinality(custom_roles) > 0) = ('PORTAL' = ANY (scopes)));
