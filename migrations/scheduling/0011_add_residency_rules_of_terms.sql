-- Of classes of data whose jurisdictions are others than `residency`: "PROMPTS=ke+tz" (services/common/residency.h).
ALTER TABLE scheduling.tenant_terms ADD COLUMN residency_rules text[] NOT NULL DEFAULT '{}';
