#include "services/scheduling/admission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace allod::scheduling {
namespace {

Status AdmitOffer(const InstanceSpec& spec, const AdmissionFacts& facts, const scheduler::Region& region) {
  if (!facts.listing || !facts.listing->active) {
    return FailedPrecondition("LISTING_NOT_AVAILABLE", fmt::format("spec.listing {} {}", spec.listing,
                                                                   facts.listing ? "was withdrawn" : "does not exist"));
  }
  if (!spec.variant.starts_with(facts.listing->version + "/variants/")) {
    return FailedPrecondition("VARIANT_NOT_IN_LISTING",
                              fmt::format("spec.variant {} is not of {}, which {} offers", spec.variant,
                                          facts.listing->version, spec.listing));
  }
  if (!facts.variant) {
    return FailedPrecondition("VARIANT_NOT_IN_LISTING", fmt::format("spec.variant {} does not exist", spec.variant));
  }
  const auto& territory = facts.listing->territory;
  if (!territory.empty() && std::ranges::find(territory, region.jurisdiction) == territory.end()) {
    return FailedPrecondition("LISTING_NOT_AVAILABLE",
                              fmt::format("spec.listing {} may be used in ({}), not in jurisdiction {} of region {}",
                                          spec.listing, fmt::join(territory, ", "), region.jurisdiction, region.id));
  }
  return {};
}

std::string LevelOf(const InstanceSpec& spec) { return spec.variant.substr(spec.variant.rfind('/') + 1); }

Status AdmitPrice(const InstanceSpec& spec, const AdmissionFacts& facts) {
  if (!facts.billing_currency) {
    return FailedPrecondition("NO_BILLING_ACCOUNT",
                              fmt::format("{} has no billing account; an operator must open one", facts.tenant_name));
  }
  if (FindPrice(spec, facts)) return {};
  return FailedPrecondition(
      "PRICE_NOT_FOUND", fmt::format("spec.listing {} has no price for variant {} in the {} class in {}", spec.listing,
                                     LevelOf(spec), NameOf(spec.isolation_class), *facts.billing_currency));
}

// What one pooled instance asks for must fit into the worker that it shares.
Status AdmitToPool(const InstanceSpec& spec, const AdmissionConfig& config) {
  if (spec.isolation_class != IsolationClass::kPooled) return {};
  const scheduler::PoolShape& pool = config.pool;
  if (const int nodes = config.nodes_in ? config.nodes_in(spec.region) : 0; nodes > 0 && spec.replicas > nodes) {
    return FailedPrecondition(
        "TOO_FEW_NODES", fmt::format("spec.replicas is {}; the pooled class holds an instance once on each node, and "
                                     "region {} has {}: ask for at most {}, or for the isolated class",
                                     spec.replicas, spec.region, nodes, nodes));
  }
  if (spec.context_tokens > pool.context_tokens) {
    return InvalidArgument(
        "CONTEXT_TOO_LONG",
        fmt::format("spec.context_tokens is {}; the pooled class offers at most {} here: ask for less, "
                    "or for the isolated class",
                    spec.context_tokens, pool.context_tokens));
  }
  if (spec.max_concurrency > pool.sequences) {
    return InvalidArgument("INVALID_SPEC",
                           fmt::format("spec.max_concurrency is {}; the pooled class offers at most {} here: ask for "
                                       "less, or for the isolated class",
                                       spec.max_concurrency, pool.sequences));
  }
  return {};
}

Result<scheduler::Region> AdmitRegion(const InstanceSpec& spec, const AdmissionFacts& facts,
                                      const std::vector<scheduler::Region>& regions) {
  if (!facts.tenant_active) {
    return FailedPrecondition("TENANT_SUSPENDED", fmt::format("{} is suspended", facts.tenant_name));
  }
  const auto region = std::ranges::find(regions, spec.region, &scheduler::Region::id);
  if (region == regions.end()) {
    std::vector<std::string> declared;
    for (const auto& r : regions) declared.push_back(r.id);
    return FailedPrecondition("UNKNOWN_REGION", fmt::format("spec.region {} is not one of this installation's ({})",
                                                            spec.region, fmt::join(declared, ", ")));
  }
  if (const std::string why = WhyOutside(facts.residency, kClassesOnNodes, region->jurisdiction); !why.empty()) {
    return FailedPrecondition("REGION_OUTSIDE_RESIDENCY",
                              fmt::format("spec.region {} lies in jurisdiction {}, {}; {} must name another region",
                                          spec.region, region->jurisdiction, why, facts.tenant_name));
  }
  return *region;
}

}  // namespace

std::optional<PriceRow> FindPrice(const InstanceSpec& spec, const AdmissionFacts& facts) {
  std::optional<PriceRow> best;
  int best_rank = -1;
  for (const PriceRow& row : facts.prices) {
    if (!facts.billing_currency || row.currency != *facts.billing_currency) continue;
    if (!row.variant.empty() && row.variant != LevelOf(spec)) continue;
    if (!row.isolation_class.empty() && row.isolation_class != NameOf(spec.isolation_class)) continue;
    const int rank = (row.variant.empty() ? 0 : 2) + (row.isolation_class.empty() ? 0 : 1);
    if (rank <= best_rank) continue;
    best = row;
    best_rank = rank;
  }
  return best;
}

Result<Revision> Admit(const InstanceSpec& spec, const AdmissionFacts& facts, const AdmissionConfig& config) {
  ALLOD_CHECK_OK(CheckSpec(spec));
  ALLOD_TRY(const scheduler::Region region, AdmitRegion(spec, facts, config.regions));
  ALLOD_CHECK_OK(facts.offer);
  ALLOD_CHECK_OK(AdmitOffer(spec, facts, region));
  ALLOD_CHECK_OK(AdmitPrice(spec, facts));
  Revision revision;
  ALLOD_TRY(revision.spec, FillIn(spec, facts.variant->trained_context_tokens));
  if (spec.isolation_class == IsolationClass::kPooled && spec.context_tokens == 0) {
    revision.spec.context_tokens =
        static_cast<int>(std::min<std::int64_t>(revision.spec.context_tokens, config.pool.context_tokens));
  }
  ALLOD_CHECK_OK(AdmitToPool(revision.spec, config));
  revision.price_book = facts.listing->price_book;
  revision.artifact_sha256 = facts.variant->artifact_sha256;
  revision.artifact_bytes = facts.variant->artifact_bytes;
  revision.trained_context_tokens = facts.variant->trained_context_tokens;
  revision.residency = facts.residency.jurisdictions;
  const bool pooled = spec.isolation_class == IsolationClass::kPooled;
  const std::int64_t cpu =
      pooled ? std::max<std::int64_t>(1, config.replica_cpu_millis / 10) : config.replica_cpu_millis;
  revision.demand = scheduler::DemandOf(
      {facts.variant->artifact_sha256, facts.variant->artifact_bytes, facts.variant->parameter_count,
       facts.variant->kv_bytes_per_token, facts.variant->trained_context_tokens},
      {spec.isolation_class, revision.spec.context_tokens, revision.spec.max_concurrency, cpu}, config.pool);
  return revision;
}

}  // namespace allod::scheduling
