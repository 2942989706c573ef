// The audit log of one service in its schema: `audit_heads`, `audit_entries`, `audit_personal` behind row-level
// security. An entry is written in the transaction of what it records, so that there is never one without the other.
//
// The service's role can add entries and read them. It can neither change nor delete one, nor leave a gap: the head of
// a chain is moved by the table's trigger alone, which takes the next number and no other. It can delete the values of
// personal details (entry.h).
//
// Append() holds the row of the tenant's head to the end of the transaction: changes of one tenant in one service are
// made one after another from there on. Call it last, so that the wait for the commit is all that others wait for.
// What it costs: two statements.
//
// Who does it and of which trace are those of the thread's call (call_scope.h); without one it is the service itself.
// Times are the database's, and never go back in a chain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/audit/chain.h"
#include "services/common/audit/entry.h"
#include "services/common/pg/pool.h"

namespace allod::audit {

// What a store says of what it has done.
struct Act {
  std::string action;
  std::string resource;
  std::vector<Detail> details{};
};

struct Filter {
  std::optional<Time> start{};  // from it on
  std::optional<Time> end{};    // before it
  std::string action_prefix{};
};

struct EntryPage {
  std::vector<Entry> entries;  // in their order, up to the size that was asked for
  // Set if there is more: the entries after this one. A page that looked at many entries and found few ends early.
  std::optional<std::int64_t> more_after;
};

class PgLog {
 public:
  // `service` names the schema and the chain.
  explicit PgLog(std::string_view service);

  // `tenant` is "tenants/ke", that of the transaction. Throws as PgTx::Exec does; INTERNAL for what CheckEntry()
  // refuses.
  Status Append(TenantTx& tx, std::string_view tenant, Act act) const;
  // An entry as its maker filled it in; sequence, time and hash are set here.
  Status Append(TenantTx& tx, std::string_view tenant, Entry entry) const;

  // Entries after the number `after`, at most `size`.
  EntryPage Read(TenantTx& tx, std::int64_t after, int size, const Filter& filter) const;
  Head ReadHead(TenantTx& tx, std::string_view tenant) const;
  // Deletes salts and values of an entry; says how many there were.
  int Erase(TenantTx& tx, std::int64_t sequence) const;

 private:
  std::string service_;
  std::string lock_head_, insert_entry_, insert_personal_, first_since_, select_, scan_, select_personal_, select_head_,
      erase_;
};

}  // namespace allod::audit
