-- How people sign in with an identity provider, and claims that are lists.
ALTER TABLE tenancy.identity_providers
  -- What the issuer knows the installation as; none: nobody signs in with it.
  ADD COLUMN client_id text CHECK (char_length(client_id) BETWEEN 1 AND 256),
  -- Asked for beside "openid".
  ADD COLUMN sign_in_scopes text[] NOT NULL DEFAULT '{}' CHECK (cardinality(sign_in_scopes) <= 8),
  -- Encrypted under a key that the database does not have (services/tenancy/client_secrets.h); empty: there is none.
  ADD COLUMN sealed_client_secret text NOT NULL DEFAULT '' CHECK (octet_length(sealed_client_secret) <= 1024),
  ADD CHECK (client_id IS NOT NULL OR (cardinality(sign_in_scopes) = 0 AND sealed_client_secret = ''));
-- People's tokens are made for the client; only workloads' need another audience.
ALTER TABLE tenancy.identity_providers
  DROP CONSTRAINT identity_providers_audiences_check,
  ADD CONSTRAINT identity_providers_audiences_check
    CHECK (cardinality(audiences) <= 8 AND (cardinality(audiences) > 0 OR client_id IS NOT NULL));

ALTER TABLE tenancy.workload_rules
  DROP CONSTRAINT workload_rules_check1,
  ADD CONSTRAINT workload_rules_claim_matches_check
    CHECK (cardinality(claim_matches) = cardinality(claims) AND claim_matches <@ ARRAY['equals', 'prefix', 'contains']);
