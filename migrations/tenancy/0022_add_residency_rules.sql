-- Of classes of data whose jurisdictions are others than `residency`: "PROMPTS=ke+tz" (services/common/residency.h), of each class one.
ALTER TABLE tenancy.tenants
  ADD COLUMN residency_rules text[] NOT NULL DEFAULT '{}' CHECK (cardinality(residency_rules) <= 9);

-- A change of them is one of the tenant, for who knows it by its etag and who is told of it.
CREATE TRIGGER stamp_tenant_residency_rules BEFORE UPDATE ON tenancy.tenants
  FOR EACH ROW WHEN (OLD.residency_rules IS DISTINCT FROM NEW.residency_rules)
  EXECUTE FUNCTION tenancy.stamp_tenant_version();
