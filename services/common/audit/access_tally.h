// How often somebody was refused, or an operator read what is a tenant's, until it is written into the audit log: the
// first time at once, what follows within a minute as one count. So neither an attacker nor a script can fill the disk.
//
// Of one tenant at most kPerTenantMax different things are told apart in a minute, kPerActorMax of one actor, and some
// places are left to operators, so that nobody hides what others do; of all tenants kPlacesMax. What is
// beyond is counted (allod_audit_accesses_dropped_total), and said in the tenant's log.
//
// Time is passed in. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "services/common/audit/entry.h"
#include "services/common/clock.h"

namespace allod::audit {

struct Access {
  std::string tenant;  // in whose log it belongs, "tenants/ke"
  Actor actor;
  std::string action;
  std::string resource;  // what was asked about
  Outcome outcome = Outcome::kDone;
  std::string reason;
  std::string trace_id;
  std::vector<Detail> details = {};  // of this one alone: where several are counted together, those of the first stay
};

class AccessTally {
 public:
  static constexpr int kPerTenantMax = 32;
  static constexpr int kPerActorMax = 8;
  static constexpr int kForOperators = 8;
  static constexpr int kPlacesMax = 4096;
  static constexpr std::chrono::seconds kWindow{60};

  // An entry that is to be written. What the tally needs to take it back is in it.
  struct Due {
    Access first;            // of those that are counted
    std::int64_t count = 0;  // of the same kind, below the same project or tenant
    Time since;
    std::int64_t dropped = 0;  // others of the tenant that found no place
  };

  void Note(Access access, Time now);
  // By tenant, and no longer in the tally. `all`: whether it is due or not.
  std::map<std::string, std::vector<Due>> TakeDue(Time now, bool all = false);
  // Could not be written; is due again at `retry`.
  void GiveBack(std::vector<Due> due, Time retry);

  int places() const { return places_; }

 private:
  // Actor's kind, id and credential, action, place, outcome, reason.
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, Outcome, std::string>;
  struct Place {
    Due due;  // count 0: nothing is waiting
    Time next_write;
  };
  struct Tenant {
    std::map<Key, Place> places;
    std::int64_t dropped = 0;
  };
  static Key KeyOf(const Access& access);
  void Drop(const std::string& tenant, std::int64_t count);

  std::map<std::string, Tenant> tenants_;
  int places_ = 0;
};

// As an entry: `count` and `since` where it stands for several, `first_resource` where names below a project or tenant
// are counted together, `dropped`.
Entry EntryOf(const AccessTally::Due& due);

// A name as it may be kept: bounded, and nothing but what names are made of.
std::string SafeName(std::string_view name);

}  // namespace allod::audit
