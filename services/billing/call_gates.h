// How much of what billing does one tenant may have at once.
#pragma once

#include "services/common/rpc/call_gate.h"

namespace allod::billing {

// What moves money: a tenant's calls are decided one after another under its lock, so that more of them at the database
// would only sit on connections that other tenants need.
struct CallGates {
  CallGate money{{.what = "reservations and settlements",
                  .per_key_max = 2,
                  .total_max = 64,
                  .waiting_per_key_max = 16,
                  .waiting_max = 96,
                  .wait_max = std::chrono::milliseconds(1500)}};
  // Single rows: an account, a price book.
  CallGate reads{{.what = "reads",
                  .per_key_max = 16,
                  .total_max = 32,
                  .waiting_per_key_max = 16,
                  .waiting_max = 16,
                  .wait_max = std::chrono::milliseconds(1000)}};
  // Lists, invoices, checks.
  CallGate reports{{.what = "reports", .per_key_max = 2, .total_max = 16}};
};

}  // namespace allod::billing
