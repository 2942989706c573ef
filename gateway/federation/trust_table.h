// Whose tokens tenants trust, and what their rules and members grant, in memory. Thread-safe.
//
// Fed by WatchIdentities of the tenancy service: of each tenant all, then of each that changes all again. While the
// stream is broken the last state stands.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "allod/tenancy/v1/identity.pb.h"
#include "gateway/federation/claim_match.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/pushed_state.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::federation {

// How people sign in with a provider.
struct SignIn {
  std::string client_id;
  std::string client_secret;  // empty: a public client
  std::vector<std::string> scopes;
};

struct Provider {
  std::string name;
  std::string display_name;
  std::string issuer;
  std::vector<std::string> audiences;
  bool disabled = false;
  std::optional<SignIn> sign_in;  // nothing: nobody does
};

struct Rule {
  std::string name;
  std::string grounds;   // GroundsOf() it
  std::string project;   // `tenants/{tenant}/projects/{project}`
  std::string provider;  // its name
  std::vector<ClaimMatch> claims;
  bool inference = false;
  bool portal = false;
  Rights roles;
  std::chrono::minutes lifetime{0};
  bool disabled = false;
};

// Who signs in as what.
struct Member {
  std::string name;
  std::string grounds;
  std::string provider;
  std::vector<ClaimMatch> claims;
  Rights roles;                               // at the tenant
  std::map<std::string, Rights> at_projects;  // by project id
  bool disabled = false;
};

// Of one tenant. Never changes.
struct Trust {
  std::map<std::string, Provider, std::less<>> providers;  // by name
  std::map<std::string, Rule, std::less<>> rules;          // by name
  std::map<std::string, Member, std::less<>> members;      // by name
  std::set<Uuid> ended_sessions;

  // The one whose `issuer` it is and that is not disabled; null if there is none.
  const Provider* ProviderOf(std::string_view issuer) const;
  // Null if there is none.
  const Provider* ProviderNamed(std::string_view name) const;
  const Rule* RuleNamed(std::string_view name) const;
  const Member* MemberNamed(std::string_view name) const;
};

class TrustTable {
 public:
  // As PushedState has them.
  void BeginSnapshot() { known_.BeginSnapshot(); }
  void Apply(const tenancy::v1::WatchIdentitiesResponse& message);
  void EndStream() { known_.EndStream(); }
  bool synced() const { return known_.Read().synced(); }
  bool current() const { return known_.Read().current(); }

  // Of `tenants/{tenant}`; null for one that trusts nobody, or is suspended. UNAVAILABLE / IDENTITIES_NOT_SYNCED before
  // the first snapshot.
  Result<std::shared_ptr<const Trust>> Find(std::string_view tenant) const;

  // UNAVAILABLE / IDENTITIES_NOT_SYNCED: for what is not known here while it may only not have been told yet.
  static std::unexpected<Error> NotSynced();

 private:
  using Tenants = std::map<std::string, std::shared_ptr<const Trust>, std::less<>>;  // by name
  PushedState<Tenants> known_;
};

// Feeds `table`, which must outlive the loop.
std::unique_ptr<WatchLoop> WatchIdentities(const std::shared_ptr<grpc::Channel>& tenancy, TrustTable& table);

}  // namespace allod::gateway::federation
