-- What a key may do through the portal, by the words of proto/allod/access/v1/role.proto. Keys that there were could do all that
-- a key can.
ALTER TABLE tenancy.api_keys ADD COLUMN roles text[] NOT NULL DEFAULT '{}';
ALTER TABLE tenancy.api_keys NO FORCE ROW LEVEL SECURITY;
UPDATE tenancy.api_keys SET roles = ARRAY['admin'] WHERE 'PORTAL' = ANY (scopes);
ALTER TABLE tenancy.api_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.api_keys ADD CHECK (cardinality(roles) <= 8);
