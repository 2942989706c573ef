-- People who have signed in. Kept for 90 days beyond their end, so that it can be said who was in.
CREATE TABLE tenancy.sessions (
  tenant_id uuid NOT NULL REFERENCES tenancy.tenants (tenant_id),
  -- A UUIDv7: in the order of their beginnings.
  id uuid NOT NULL,
  -- Of a provider and of members that may have been deleted since.
  provider_id text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 255),
  display_name text NOT NULL CHECK (char_length(display_name) <= 128),
  members text[] NOT NULL CHECK (cardinality(members) BETWEEN 1 AND 32),
  client text NOT NULL CHECK (client IN ('BROWSER', 'COMMAND_LINE')),
  client_address text NOT NULL CHECK (char_length(client_address) <= 64),
  user_agent text NOT NULL CHECK (char_length(user_agent) <= 256),
  id_token_sha256 bytea NOT NULL CHECK (octet_length(id_token_sha256) = 32),
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL CHECK (expire_time > create_time AND expire_time <= create_time + interval '24 hours'),
  -- When it was ended before it expired.
  end_time timestamptz,
  PRIMARY KEY (tenant_id, id),
  -- One ID token begins one session.
  UNIQUE (tenant_id, id_token_sha256)
);
-- Those that have not expired, and the oldest.
CREATE INDEX sessions_by_expire_time ON tenancy.sessions (tenant_id, expire_time);
-- Those of a person that were not ended.
CREATE INDEX sessions_by_person ON tenancy.sessions (tenant_id, provider_id, subject, expire_time) WHERE end_time IS NULL;
ALTER TABLE tenancy.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenancy.sessions
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
