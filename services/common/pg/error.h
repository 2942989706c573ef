// What a pqxx exception means: an Error that is safe to show, and what may be done about it. The detail goes to the
// log.
#pragma once

#include <exception>
#include <string>

#include "services/common/result.h"

namespace allod {

// The reason of a statement that took longer than its limit.
inline constexpr char kStatementTimeout[] = "STATEMENT_TIMEOUT";

struct PgFailure {
  Error error;
  bool connection_lost = false;  // the session is gone; what was not committed is rolled back
  bool run_again = false;        // serialization failure or deadlock: the same transaction may succeed
};

// `exception` is what pqxx or a caller's function threw.
PgFailure ClassifyPgFailure(const std::exception& exception);

Error DatabaseUnavailable();

}  // namespace allod
