#include "services/billing/terms/testing/fake_terms_store.h"

#include <algorithm>

namespace allod::billing::terms {
namespace {

Result<std::optional<Terms>> Decide(const std::vector<Terms>& versions, const Terms& wanted, Time now) {
  SetState state{.account = BillingAccount{.currency_code = "KES"}};
  if (!versions.empty()) state.latest = versions.back();
  return DecideSet(state, wanted, now);
}

}  // namespace

Result<Terms> FakeTermsStore::Set(const Terms& terms, const RequestId&, Time now) {
  const std::lock_guard lock(mutex_);
  std::vector<Terms>& versions = versions_[terms.tenant];
  ALLOD_TRY(std::optional<Terms> made, Decide(versions, terms, now));
  if (made) versions.push_back(*std::move(made));
  return versions.back();
}

Result<Terms> FakeTermsStore::Preview(const Terms& terms, Time now) {
  const std::lock_guard lock(mutex_);
  const std::vector<Terms>& versions = versions_[terms.tenant];
  ALLOD_TRY(std::optional<Terms> made, Decide(versions, terms, now));
  return made ? *std::move(made) : versions.back();
}

Result<Terms> FakeTermsStore::Get(TenantId tenant, std::optional<std::int32_t> version, Time month) {
  const std::lock_guard lock(mutex_);
  const std::vector<Terms>& versions = versions_[tenant];
  if (!version) {
    const Terms* found = TermsOf(versions, month);
    if (found != nullptr) return *found;
  } else if (*version <= static_cast<std::int32_t>(versions.size())) {
    return versions[static_cast<std::size_t>(*version - 1)];
  }
  return NotFound("no such terms");
}

Result<std::vector<Terms>> FakeTermsStore::List(TenantId tenant, std::int32_t before, int limit) {
  const std::lock_guard lock(mutex_);
  std::vector<Terms> out;
  for (const Terms& terms : versions_[tenant]) {
    if (before == 0 || terms.version < before) out.insert(out.begin(), terms);
  }
  if (out.size() > static_cast<std::size_t>(limit)) out.resize(static_cast<std::size_t>(limit));
  return out;
}

}  // namespace allod::billing::terms
