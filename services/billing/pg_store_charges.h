// Charges that no invoice has yet, for the transactions of pg_store_invoices.cc too; and those of an invoice as rows.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "services/billing/charge.h"
#include "services/billing/invoice.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/words.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::ChargeKind> =
    std::to_array<RowWord<billing::ChargeKind>>({{billing::ChargeKind::kInstanceTime, "instance_time"},
                                                 {billing::ChargeKind::kFreeAllowance, "free_allowance"},
                                                 {billing::ChargeKind::kVolumeTier, "volume_tier"},
                                                 {billing::ChargeKind::kDiscount, "discount"},
                                                 {billing::ChargeKind::kCommitmentShortfall, "commitment_shortfall"},
                                                 {billing::ChargeKind::kRerating, "rerating"}});
template <>
inline constexpr auto kRowWords<billing::ChargeUnit> =
    std::to_array<RowWord<billing::ChargeUnit>>({{billing::ChargeUnit::kOne, "one"},
                                                 {billing::ChargeUnit::kSecond, "second"},
                                                 {billing::ChargeUnit::kToken, "token"}});

}  // namespace allod

namespace allod::billing {

struct OpenChargesQuery {
  TenantId tenant;
  Time first;  // months from this one
  Time last;   // to this one
  std::int64_t limit = 0;
  std::string project;  // its id; empty: all, and those of the tenant as a whole
};
// By month.
std::vector<Charge> ReadOpenChargesIn(TenantTx& tx, const OpenChargesQuery& query);

// Those of the document's lines that are charges.
void InsertChargeLines(TenantTx& tx, const IssuedInvoice& doc);

}  // namespace allod::billing
