// What billing asks the tenancy service: does a tenant exist, and in which currency is it invoiced.
#pragma once

#include <memory>
#include <string>

#include "services/common/result.h"

namespace allod::billing {

class TenantDirectory {
 public:
  virtual ~TenantDirectory() = default;
  // `tenant_name` is `tenants/{tenant}`. NOT_FOUND; UNAVAILABLE when tenancy cannot be reached. Thread-safe, blocks at
  // most two seconds.
  virtual Result<std::string> CurrencyOf(const std::string& tenant_name) = 0;
};

// Over gRPC; connects when first used and again whenever needed.
std::unique_ptr<TenantDirectory> MakeTenantDirectory(const std::string& tenancy_target);

}  // namespace allod::billing
