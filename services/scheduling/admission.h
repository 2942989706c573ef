// Whether a tenant may have the instance it asks for, decided from what the other services say before anything is
// written.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/estimate.h"
#include "services/common/money.h"
#include "services/scheduling/domain.h"
#include "services/scheduling/quota.h"

namespace allod::scheduling {

struct PriceRow {
  std::string currency;
  std::string variant;          // compression level; empty: every variant without a row of its own
  std::string isolation_class;  // empty: every class without a row of its own
  // Of one token, and of one second of a replica.
  Amount prompt = {};
  Amount completion = {};
  Amount second = {};
};

// What the peers know about one request. Absent parts do not exist there.
struct AdmissionFacts {
  std::string tenant_name;
  bool tenant_active = false;
  ResidencyRules residency;
  QuotaScopes quotas;  // of the tenant and of the project

  struct Listing {
    bool active = false;
    std::string version;
    std::vector<std::string> territory;  // empty: everywhere
    std::string price_book;
  };
  std::optional<Listing> listing;

  struct Variant {
    std::string artifact_sha256;
    std::int64_t artifact_bytes = 0;
    std::int64_t parameter_count = 0;
    int trained_context_tokens = 0;
    std::int64_t kv_bytes_per_token = 0;  // 0: unknown
  };
  std::optional<Variant> variant;

  std::optional<std::string> billing_currency;
  bool credit_used_up = false;  // what is owed has reached the limit
  std::vector<PriceRow> prices;

  // Why the parts from `listing` on could not be asked for; they are void then.
  Status offer;
};

struct AdmissionConfig {
  std::vector<scheduler::Region> regions;
  // Compute is shared by turns, so a replica reserves only what keeps it answering; a pooled one a tenth of it.
  std::int64_t replica_cpu_millis = 20;
  scheduler::PoolShape pool;
  // Nodes of a region that are known, lost ones too; unset: nobody knows.
  std::function<int(const std::string& region)> nodes_in;
};

// What prices it: the most specific row of its currency, that of its variant and class, else of its variant, else of
// its class, else the one of neither. Nothing: there is none.
std::optional<PriceRow> FindPrice(const InstanceSpec& spec, const AdmissionFacts& facts);

// Checked in this order: tenant, region, listing, variant, territory, billing. FAILED_PRECONDITION / TENANT_SUSPENDED,
// UNKNOWN_REGION, REGION_OUTSIDE_RESIDENCY, LISTING_NOT_AVAILABLE, VARIANT_NOT_IN_LISTING, NO_BILLING_ACCOUNT,
// PRICE_NOT_FOUND, TOO_FEW_NODES (a pooled instance wants more replicas than its region has nodes; not while it has
// none yet); INVALID_ARGUMENT / CONTEXT_TOO_LONG, INVALID_SPEC. The error of `facts.offer` comes after the region.
Result<Revision> Admit(const InstanceSpec& spec, const AdmissionFacts& facts, const AdmissionConfig& config);

}  // namespace allod::scheduling
