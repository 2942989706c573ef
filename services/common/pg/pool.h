// PostgreSQL: a bounded connection pool and the only two ways to a transaction. The only header that shows pqxx to
// stores; what differs between libpqxx 6 and 7 stays in pool.cc and row_reader.cc.
//
// TenantTx sets `allod.tenant` for one transaction, which the row-level security policies of every tenant table compare
// with; a GlobalTx leaves it unset and therefore sees no row of any tenant table. Both use the service's app role,
// which is neither owner nor BYPASSRLS. WHERE clauses still name the tenant: row-level security is the second lock.
//
// Run() takes the whole transaction as a function, so that it can be run again after a serialization failure, a
// deadlock or a connection lost before COMMIT. When the connection is lost during COMMIT the outcome is unknown: the
// transaction is never blindly repeated; `committed` (a look-up by the id that the transaction would have written)
// decides. Without `committed` the caller gets UNAVAILABLE / COMMIT_IN_DOUBT.
//
// RunSnapshot() is for reads that are decided on together: its statements all see the rows as they were at its first
// one (REPEATABLE READ, READ ONLY). In Run() each statement sees what was committed before it, so that two of them may
// see the halves of another's change.
//
// Thread-safe. Blocks for a connection at most `acquire_timeout`, then UNAVAILABLE / DATABASE_BUSY; UNAVAILABLE /
// DATABASE_UNAVAILABLE when the server cannot be reached. Statements are limited by `statement_timeout` on the server.
//
// During a call (call_scope.h) neither the wait for a connection nor a statement takes longer than the call's deadline
// left when the transaction began: DEADLINE_EXCEEDED / DEADLINE_EXCEEDED, and nothing was changed. (A transaction of
// many slow statements, or the making of a connection, may take longer.) One that is over before never reaches the
// database. Whether a COMMIT that is in doubt happened is found out whatever the deadline.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "services/common/clock.h"
#include "services/common/deadline.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/pg/micros.h"
#include "services/common/pg/words.h"
#include "services/common/result.h"

namespace allod {

struct PgConfig {
  std::string url;            // libpq connection string or URI, without the password
  std::string password_file;  // optional; a file path, never the secret itself
  int connections_max = 4;
  std::chrono::milliseconds acquire_timeout{2000};
  std::chrono::milliseconds statement_timeout{5000};
  std::string application_name = "allod";
};

// Whether the server is reached through a Unix socket.
bool IsLocal(const PgConfig& config);

// {"url", "password_file", "connections_max", "acquire_timeout_ms", "statement_timeout_ms"}; only the first is
// required. INVALID_ARGUMENT / INVALID_CONFIG for unknown fields, values out of range and a password in the URL.
Result<PgConfig> ParsePgConfig(const nlohmann::json& json);

// One statement parameter, as text; nullopt is NULL. Every type that Exec() accepts comes through here.
class PgParam {
 public:
  PgParam(std::nullopt_t) {}                                     // NOLINT
  PgParam(std::nullptr_t) {}                                     // NOLINT
  PgParam(std::string_view text) : text_(text) {}                // NOLINT
  PgParam(const std::string& text) : text_(text) {}              // NOLINT
  PgParam(const char* text) : text_(text) {}                     // NOLINT
  PgParam(bool value) : text_(value ? "t" : "f") {}              // NOLINT
  PgParam(const Uuid& value) : text_(value.ToString()) {}        // NOLINT
  PgParam(const TenantId& value) : text_(value.ToString()) {}    // NOLINT
  PgParam(const Amount& value) : text_(value.ToPicoString()) {}  // NOLINT
  PgParam(Time value) : PgParam(ToMicros(value)) {}              // NOLINT
  PgParam(const std::vector<std::string>& elements);             // NOLINT
  PgParam(const pqxx::binarystring& value);                      // NOLINT
  template <HasRowWords Enum>
  PgParam(Enum value) : text_(ToRowWord(value)) {}  // NOLINT
  template <typename T>
  requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) PgParam(T value)
      : text_(pqxx::to_string(value)) {}  // NOLINT
  template <typename T>
  PgParam(const std::optional<T>& value) {  // NOLINT
    if (value) text_ = PgParam(*value).text_;
  }
  const std::optional<std::string>& text() const { return text_; }

 private:
  std::optional<std::string> text_;
};

class PgTx {
 public:
  // Runs one parameterised statement ($1, $2, ...). A parameter is text, a number, a bool, a Uuid, a TenantId, an
  // Amount (its integer of 10^-12), a Time (its microseconds, micros.h), an enum that has words (words.h), a vector of
  // strings (an array), bytes (pqxx::binarystring), NULL (nullptr) or a std::optional of these. Throws pqxx exceptions;
  // PgPool::Run turns them into Errors.
  template <typename... Args>
  pqxx::result Exec(std::string_view sql, const Args&... args) {
    return ExecText(sql, {PgParam(args)...});
  }

 protected:
  explicit PgTx(pqxx::work& work) : work_(work) {}
  pqxx::work& work_;

 private:
  pqxx::result ExecText(std::string_view sql, const std::vector<PgParam>& params);
};

// Rows of one tenant only.
class TenantTx : public PgTx {
 public:
  TenantId tenant() const { return tenant_; }

 private:
  friend class PgPool;
  TenantTx(pqxx::work& work, TenantId tenant) : PgTx(work), tenant_(tenant) {}
  TenantId tenant_;
};

// Tables that belong to no tenant.
class GlobalTx : public PgTx {
 private:
  friend class PgPool;
  explicit GlobalTx(pqxx::work& work) : PgTx(work) {}
};

// The look-up after a COMMIT in doubt for transactions that return what is there when they run again: to run them again
// is to look.
struct RunAgain {
  template <typename Tx>
  std::unexpected<Error> operator()(Tx&) const {
    return NotFound("not looked up");
  }
};

class PgPool {
 public:
  explicit PgPool(PgConfig config);
  ~PgPool();
  PgPool(const PgPool&) = delete;

  // `fn` returns an Error to roll back. `committed` returns the value if the transaction is found to have been
  // committed, NOT_FOUND if it was not (it is then run again).
  template <typename T>
  Result<T> Run(TenantId tenant, const std::function<Result<T>(TenantTx&)>& fn,
                const std::function<Result<T>(TenantTx&)>& committed = nullptr);
  template <typename T>
  Result<T> Run(const std::function<Result<T>(GlobalTx&)>& fn,
                const std::function<Result<T>(GlobalTx&)>& committed = nullptr);

  // Reads only: a statement that writes fails.
  template <typename T>
  Result<T> RunSnapshot(TenantId tenant, const std::function<Result<T>(TenantTx&)>& fn);

  // Answers SELECT 1. For readiness probes.
  Status Ping();

 private:
  // One attempt. `body` runs inside the transaction; returning an error rolls back and is passed on.
  enum class Attempt { kDone, kRetry, kInDoubt };
  struct AttemptResult {
    Attempt attempt;
    Status status;
    int backend_pid = 0;
  };
  enum class Mode { kReadWrite, kSnapshot };
  AttemptResult Try(const TenantId* tenant, const std::function<Status(pqxx::work&)>& body, Deadline deadline,
                    Mode mode = Mode::kReadWrite);
  Status AwaitBackendGone(int backend_pid);
  Status ResolveDoubt(const TenantId* tenant, const std::function<Status(pqxx::work&)>& committed, int backend_pid);
  Status RunErased(const TenantId* tenant, const std::function<Status(pqxx::work&)>& body,
                   const std::function<Status(pqxx::work&)>* committed, Mode mode = Mode::kReadWrite);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

template <typename T>
Result<T> PgPool::Run(TenantId tenant, const std::function<Result<T>(TenantTx&)>& fn,
                      const std::function<Result<T>(TenantTx&)>& committed) {
  Result<T> out = Internal("transaction did not run");
  const auto erase = [&](const std::function<Result<T>(TenantTx&)>& f) {
    return [&out, &f, tenant](pqxx::work& work) -> Status {
      TenantTx tx(work, tenant);
      out = f(tx);
      if (!out) return std::unexpected(out.error());
      return {};
    };
  };
  const std::function<Status(pqxx::work&)> body = erase(fn);
  const std::function<Status(pqxx::work&)> check = erase(committed);
  if (auto s = RunErased(&tenant, body, committed ? &check : nullptr); !s) return std::unexpected(s.error());
  return out;
}

template <typename T>
Result<T> PgPool::Run(const std::function<Result<T>(GlobalTx&)>& fn,
                      const std::function<Result<T>(GlobalTx&)>& committed) {
  Result<T> out = Internal("transaction did not run");
  const auto erase = [&](const std::function<Result<T>(GlobalTx&)>& f) {
    return [&out, &f](pqxx::work& work) -> Status {
      GlobalTx tx(work);
      out = f(tx);
      if (!out) return std::unexpected(out.error());
      return {};
    };
  };
  const std::function<Status(pqxx::work&)> body = erase(fn);
  const std::function<Status(pqxx::work&)> check = erase(committed);
  if (auto s = RunErased(nullptr, body, committed ? &check : nullptr); !s) return std::unexpected(s.error());
  return out;
}

template <typename T>
Result<T> PgPool::RunSnapshot(TenantId tenant, const std::function<Result<T>(TenantTx&)>& fn) {
  Result<T> out = Internal("transaction did not run");
  const std::function<Status(pqxx::work&)> body = [&](pqxx::work& work) -> Status {
    TenantTx tx(work, tenant);
    out = fn(tx);
    if (!out) return std::unexpected(out.error());
    return {};
  };
  if (auto s = RunErased(&tenant, body, nullptr, Mode::kSnapshot); !s) return std::unexpected(s.error());
  return out;
}

}  // namespace allod
