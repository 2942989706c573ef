-- Ids of the tenant's own roles (tenancy.roles) that a key has beside the platform's.
ALTER TABLE tenancy.api_keys
  ADD COLUMN custom_roles text[] COLLATE "C" NOT NULL DEFAULT '{}' CHECK (cardinality(custom_roles) <= 4);
