// How much of what billing does one tenant may have at once.
#pragma once

#include "services/common/rpc/call_gate.h"

namespace allod::billing {

inline constexpr int kReportPlaces = 8;
inline constexpr int kReportPlacesOfOperators = 2;

struct CallGates {
  // What moves money (Reserve, Settle, AdjustLease, SettleBatch): a tenant's calls are decided one after another under
  // its lock, so that more of them at the database would only sit on connections that other tenants need.
  CallGate money{{.what = "reservations, leases and settlements",
                  .per_key_max = 2,
                  .total_max = 64,
                  .waiting_per_key_max = 16,
                  .waiting_max = 96,
                  .wait_max = std::chrono::milliseconds(1500)}};
  // Single rows: an account, a price book.
  CallGate reads{{.what = "reads",
                  .per_key_max = 8,
                  .total_max = 24,
                  .waiting_per_key_max = 8,
                  .waiting_max = 24,
                  .wait_max = std::chrono::milliseconds(1000),
                  .operator_max = 4,
                  .operator_waiting_max = 8}};
  // Lists, invoices, checks. Each place has its connection (`report_connections_max`, main.cc): who has one does not
  // wait for a connection behind the reports of others.
  CallGate reports{
      {.what = "reports", .per_key_max = 2, .total_max = kReportPlaces, .operator_max = kReportPlacesOfOperators}};
  // Documents that are set as PDF: a process and a processor each, for seconds.
  CallGate typesetting{{.what = "documents being set",
                        .per_key_max = 1,
                        .total_max = 2,
                        .waiting_per_key_max = 4,
                        .waiting_max = 16,
                        .wait_max = std::chrono::milliseconds(20'000),
                        .operator_max = 1,
                        .operator_waiting_max = 4}};
};

}  // namespace allod::billing
