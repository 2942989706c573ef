#include "cli/kinds/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "cli/kinds/calls.h"
#include "services/common/ids.h"

namespace allod::cli::kinds {

// A line for each file here, in the order in which kinds are listed.
std::vector<ResourceKind> TenantKinds();
std::vector<ResourceKind> WorkloadIdentityKinds();
std::vector<ResourceKind> RoleKinds();
std::vector<ResourceKind> PeopleKinds();
std::vector<ResourceKind> BillingAccountKinds();
std::vector<ResourceKind> InvoicingKinds();
std::vector<ResourceKind> EventSinkKinds();
std::vector<ResourceKind> BudgetKinds();
std::vector<ResourceKind> ModelKinds();
std::vector<ResourceKind> ListingKinds();
std::vector<ResourceKind> InstanceKinds();
std::vector<ResourceKind> QuoteKinds();
std::vector<ResourceKind> NodeKinds();

namespace {

constexpr auto kFiles = {
    TenantKinds,    WorkloadIdentityKinds, RoleKinds,  PeopleKinds,  BillingAccountKinds, InvoicingKinds,
    EventSinkKinds, BudgetKinds,           ModelKinds, ListingKinds, InstanceKinds,       QuoteKinds,
    NodeKinds};

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

const std::vector<ResourceKind>& ResourceKinds() {
  static const auto* kinds = [] {
    auto* all = new std::vector<ResourceKind>;
    for (const auto kinds_of : kFiles) std::ranges::move(kinds_of(), std::back_inserter(*all));
    return all;
  }();
  return *kinds;
}

Result<const ResourceKind*> FindKind(const std::string& text) {
  for (const auto& kind : ResourceKinds()) {
    if (Lower(text) == Lower(kind.kind) || Lower(text) == Lower(kind.plural)) return &kind;
  }
  return InvalidArgument("UNKNOWN_KIND", fmt::format("'{}' is none of {}", text, KindNames()));
}

std::string KindNames(bool (*chosen)(const ResourceKind&)) {
  std::string names;
  for (const auto& kind : ResourceKinds()) {
    if (chosen(kind)) names += (names.empty() ? "" : ", ") + kind.plural;
  }
  return names;
}

std::string SpelledOut(const std::string& pattern, const std::string& text) {
  const auto slash = pattern.find('/');
  const bool is_plural_and_id = slash != std::string::npos && pattern.substr(slash) == "/*";
  if (!is_plural_and_id || text.empty() || text.find('/') != std::string::npos) return text;
  return pattern.substr(0, slash + 1) + text;
}

Result<terminal::MessagePtr> GetOne(const net::Services& services, const ResourceKind& kind, const std::string& text) {
  const std::string name = SpelledOut(kind.pattern, text);
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("name", name, kind.pattern));
  if (kind.get) return kind.get(services, name);
  ALLOD_TRY(auto all, kind.list(services, kind.parent_pattern.empty() ? "" : ParentOf(name)));
  for (auto& message : all) {
    if (terminal::FieldText(*message, "name") == name) return std::move(message);
  }
  return NotFound(fmt::format("{} {} does not exist", kind.kind, name));
}

}  // namespace allod::cli::kinds
