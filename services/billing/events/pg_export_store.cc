#include "services/billing/events/pg_export_store.h"

#include <algorithm>

namespace allod::billing::events {
namespace {

std::string ExportConsumer(const std::string& destination) { return "export_" + destination; }

Status StatusOf(const Result<int>& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

Status PgExportStore::SetExports(const std::vector<std::string>& names) {
  return StatusOf(pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        for (const std::string& name : names) tx.Exec("SELECT billing.add_consumer($1)", ExportConsumer(name));
        for (const auto& row : tx.Exec("SELECT name FROM billing.outbox_consumers WHERE name LIKE 'export\\_%'")) {
          const auto name = row[0].as<std::string>();
          const bool is_wanted =
              std::ranges::any_of(names, [&](const std::string& wanted) { return ExportConsumer(wanted) == name; });
          if (!is_wanted) tx.Exec("SELECT billing.remove_consumer($1)", name);
        }
        return 0;
      },
      RunAgain{}));
}

Status PgExportStore::RemoveExport(const std::string& name) {
  return StatusOf(pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        tx.Exec("SELECT billing.remove_consumer($1)", ExportConsumer(name));
        return 0;
      },
      RunAgain{}));
}

Result<std::vector<TenantBehind>> PgExportStore::Behind(const std::string& destination, std::optional<TenantId> after,
                                                        int limit) {
  return pool_.Run<std::vector<TenantBehind>>([&](GlobalTx& tx) -> Result<std::vector<TenantBehind>> {
    return ReadAll(tx.Exec("SELECT b.tenant_id, b.cursor FROM billing.outbox_behind($1, $2::uuid, $3) AS b",
                           ExportConsumer(destination), after ? after->value : Uuid(), limit),
                   [](RowReader& row) {
                     TenantBehind out;
                     row.Into(out.tenant, out.cursor);
                     return out;
                   });
  });
}

Result<TenantRows> PgExportStore::ReadRows(TenantId tenant, std::int64_t after) {
  return pool_.Run<TenantRows>(tenant, [&](TenantTx& tx) -> Result<TenantRows> {
    TenantRows out;
    out.tenant_name =
        tx.Exec("SELECT a.tenant_name FROM billing.billing_accounts a WHERE a.tenant_id = $1::uuid", tenant)
            .at(0)[0]
            .as<std::string>();
    out.rows = ReadOutbox(tx, out.tenant_name, after, true, usage_json_);
    return out;
  });
}

Status PgExportStore::Advance(TenantId tenant, const std::string& destination, std::int64_t sequence) {
  return StatusOf(pool_.Run<int>(
      tenant,
      [&](TenantTx& tx) -> Result<int> {
        tx.Exec("SELECT billing.advance_cursor($1::uuid, $2, $3)", tenant, ExportConsumer(destination), sequence);
        return 0;
      },
      RunAgain{}));
}

}  // namespace allod::billing::events
