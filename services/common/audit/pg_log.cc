#include "services/common/audit/pg_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "services/common/call_scope.h"
#include "services/common/pg/row_reader.h"

namespace allod {

template <>
inline constexpr auto kRowWords<audit::Outcome> =
    std::to_array<RowWord<audit::Outcome>>({{audit::Outcome::kDone, "done"}, {audit::Outcome::kRefused, "refused"}});

}  // namespace allod

namespace allod::audit {
namespace {

// Entries that a page looks at for the few that a filter by action wants.
constexpr int kScannedMax = 5000;

constexpr char kColumns[] =
    "sequence, " ALLOD_MICROS("time") ", actor_kind, actor_id, credential, action, resource, outcome, reason, trace_id, "
    "detail_names, detail_values, personal_details, encode(hash, 'hex')";

template <std::size_t kSize>
std::array<std::uint8_t, kSize> FromHex(const std::string& hex) {
  std::array<std::uint8_t, kSize> out{};
  if (hex.size() != 2 * kSize) throw std::runtime_error("a digest in a row has another size");
  for (std::size_t i = 0; i < kSize; ++i) {
    out[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  return out;
}

Entry ReadEntry(RowReader& row) {
  Entry out;
  std::vector<std::string> names, values, personal;
  std::string hash;
  row.Into(out.sequence, out.time, out.actor.kind, out.actor.id, out.actor.credential, out.action, out.resource,
           out.outcome, out.reason, out.trace_id, names, values, personal, hash);
  for (std::size_t i = 0; i < names.size(); ++i) {
    Detail& detail = out.details.emplace_back(Detail{names[i], values.at(i)});
    if (std::ranges::find(personal, names[i]) == personal.end()) continue;
    detail.commitment = FromHex<32>(detail.value);
    detail.value.clear();
  }
  out.hash = FromHex<32>(hash);
  return out;
}

// The personal values that are still there, to their details.
void AddPersonal(const pqxx::result& rows, std::vector<Entry>& entries) {
  std::map<std::int64_t, Entry*> by_sequence;
  for (Entry& entry : entries) by_sequence[entry.sequence] = &entry;
  for (const pqxx::row& fields : rows) {
    RowReader row(fields);
    const auto sequence = row.Next<std::int64_t>();
    const auto name = row.Next<std::string>();
    const auto found = by_sequence.find(sequence);
    if (found == by_sequence.end()) continue;
    const auto detail = std::ranges::find(found->second->details, name, &Detail::name);
    if (detail == found->second->details.end() || !detail->commitment) continue;
    detail->salt = FromHex<32>(row.Next<std::string>());
    detail->value = row.Next<std::string>();
  }
}

Actor ActorNow(const std::string& service) {
  if (const Actor* const actor = CurrentActor()) return *actor;
  return {"service", service, ""};
}

}  // namespace

PgLog::PgLog(std::string_view service)
    : service_(service),
      lock_head_(fmt::format("SELECT sequence, encode(hash, 'hex'), micros FROM {}.lock_audit_head(decode($1, 'hex'))",
                             service)),
      insert_entry_(fmt::format(
          "INSERT INTO {}.audit_entries (tenant_id, sequence, time, actor_kind, actor_id, credential, action, "
          "resource, "
          "outcome, reason, trace_id, detail_names, detail_values, personal_details, hash) "
          "VALUES ($1, $2, " ALLOD_FROM_MICROS("$3") ", $4, $5, $6, $7, $8, $9, $10, $11, $12::text[], $13::text[], "
                                                     "$14::text[], decode($15, 'hex'))",
          service)),
      insert_personal_(fmt::format("INSERT INTO {}.audit_personal (tenant_id, sequence, name, salt, value) "
                                   "VALUES ($1, $2, $3, decode($4, 'hex'), $5)",
                                   service)),
      first_since_(
          fmt::format("SELECT sequence FROM {}.audit_entries WHERE tenant_id = $1 AND time >= " ALLOD_FROM_MICROS(
                          "$2") " ORDER BY time, sequence LIMIT 1",
                      service)),
      select_(fmt::format("SELECT {} FROM (SELECT * FROM {}.audit_entries WHERE tenant_id = $1 AND sequence > $2 AND "
                          "($3::bigint IS NULL OR time < " ALLOD_FROM_MICROS(
                              "$3") ") ORDER BY sequence LIMIT $4) AS seen "
                                    "WHERE starts_with(action, $5) ORDER BY sequence LIMIT $6",
                          kColumns, service)),
      scan_(
          fmt::format("SELECT count(*), max(sequence) FROM (SELECT sequence FROM {}.audit_entries WHERE tenant_id = $1 "
                      "AND sequence > $2 AND ($3::bigint IS NULL OR time < " ALLOD_FROM_MICROS(
                          "$3") ") ORDER BY sequence LIMIT $4) AS seen",
                      service)),
      select_personal_(fmt::format("SELECT sequence, name, encode(salt, 'hex'), value FROM {}.audit_personal WHERE "
                                   "tenant_id = $1 AND sequence BETWEEN $2 AND $3",
                                   service)),
      select_head_(
          fmt::format("SELECT sequence, encode(hash, 'hex') FROM {}.audit_heads WHERE tenant_id = $1", service)),
      erase_(fmt::format("DELETE FROM {}.audit_personal WHERE tenant_id = $1 AND sequence = $2", service)) {}

Status PgLog::Append(TenantTx& tx, std::string_view tenant, Act act) const {
  Entry entry;
  entry.actor = ActorNow(service_);
  entry.action = std::move(act.action);
  entry.resource = std::move(act.resource);
  if (const Trace* const trace = CurrentTrace()) entry.trace_id = trace->trace_id;
  entry.details = std::move(act.details);
  return Append(tx, tenant, std::move(entry));
}

Status PgLog::Append(TenantTx& tx, std::string_view tenant, Entry entry) const {
  ALLOD_CHECK_OK(CheckEntry(entry));
  const auto locked = tx.Exec(lock_head_, ToHex(Genesis(service_, tenant).hash));
  RowReader head(locked[0]);
  entry.sequence = head.Next<std::int64_t>() + 1;
  const auto previous = FromHex<32>(head.Next<std::string>());
  entry.time = head.Next<Time>();
  entry.hash = HashAfter(previous, entry);
  std::vector<std::string> names, values, personal;
  for (const Detail& detail : entry.details) {
    names.push_back(detail.name);
    values.push_back(detail.commitment ? ToHex(*detail.commitment) : detail.value);
    if (detail.commitment) personal.push_back(detail.name);
  }
  tx.Exec(insert_entry_, tx.tenant(), entry.sequence, entry.time, entry.actor.kind, entry.actor.id,
          entry.actor.credential, entry.action, entry.resource, entry.outcome, entry.reason, entry.trace_id, names,
          values, personal, ToHex(entry.hash));
  for (const Detail& detail : entry.details) {
    if (!detail.salt) continue;
    tx.Exec(insert_personal_, tx.tenant(), entry.sequence, detail.name, ToHex(*detail.salt), detail.value);
  }
  return {};
}

EntryPage PgLog::Read(TenantTx& tx, std::int64_t after, int size, const Filter& filter) const {
  EntryPage out;
  if (filter.start) {
    // Times never go back, so what is older than the first is before it.
    const auto first = tx.Exec(first_since_, tx.tenant(), *filter.start);
    if (first.empty()) return out;
    after = std::max(after, first[0][0].as<std::int64_t>() - 1);
  }
  const int scanned_max = filter.action_prefix.empty() ? size + 1 : std::max(kScannedMax, size + 1);
  out.entries =
      ReadAll(tx.Exec(select_, tx.tenant(), after, filter.end, scanned_max, filter.action_prefix, size + 1), ReadEntry);
  if (std::cmp_greater(out.entries.size(), size)) {
    out.entries.resize(static_cast<std::size_t>(size));
    out.more_after = out.entries.back().sequence;
  } else if (!filter.action_prefix.empty()) {
    const auto scanned = tx.Exec(scan_, tx.tenant(), after, filter.end, scanned_max);
    if (scanned[0][0].as<int>() == scanned_max) out.more_after = scanned[0][1].as<std::int64_t>();
  }
  if (!out.entries.empty()) {
    AddPersonal(tx.Exec(select_personal_, tx.tenant(), out.entries.front().sequence, out.entries.back().sequence),
                out.entries);
  }
  return out;
}

Head PgLog::ReadHead(TenantTx& tx, std::string_view tenant) const {
  const auto rows = tx.Exec(select_head_, tx.tenant());
  if (rows.empty()) return Genesis(service_, tenant);
  RowReader row(rows[0]);
  Head out;
  out.sequence = row.Next<std::int64_t>();
  out.hash = FromHex<32>(row.Next<std::string>());
  return out;
}

int PgLog::Erase(TenantTx& tx, std::int64_t sequence) const {
  return static_cast<int>(tx.Exec(erase_, tx.tenant(), sequence).affected_rows());
}

}  // namespace allod::audit
