#include "services/common/pg/pool.h"

#include <fmt/format.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "services/common/call_scope.h"
#include "services/common/config.h"
#include "services/common/digest.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/pg/connection_string.h"
#include "services/common/pg/error.h"

namespace allod {
namespace {

using std::chrono::milliseconds;

constexpr int kRunsMax = 5;
constexpr int kDoubtChecksMax = 20;
constexpr milliseconds kDoubtPause{100};
constexpr milliseconds kBackoffFirst{10};
constexpr milliseconds kLockTimeoutMax{2000};
constexpr int kConnectTimeoutSeconds = 3;
constexpr int kConnectionsLimit = 64;

// Full jitter: colliding transactions must not meet again at the same moment.
void Backoff(int run) {
  thread_local std::minstd_rand random(std::random_device{}());
  const auto longest = kBackoffFirst.count() << run;
  std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution<std::int64_t>(1, longest)(random)));
}

// The transaction that PgPool gives to its bodies. Remembers whether the server has aborted it, because PostgreSQL
// answers COMMIT of an aborted transaction with a quiet ROLLBACK, which would look like success.
class Work final : public pqxx::work {
 public:
  explicit Work(pqxx::connection& connection) : pqxx::internal::namedclass("work"), pqxx::work(connection) {}
  bool failed = false;
};

Result<std::string> MakeConnectionString(const PgConfig& config) {
  ALLOD_TRY(auto parameters, ParseConnectionString(config.url));
  if (!config.password_file.empty()) {
    ALLOD_TRY(parameters["password"], ReadSecretFile(config.password_file));
  }
  const milliseconds lock_timeout = std::min(kLockTimeoutMax, config.statement_timeout);
  std::string& options = parameters["options"];
  if (!options.empty()) options += ' ';
  options += fmt::format(
      "-c statement_timeout={0} -c lock_timeout={1} -c idle_in_transaction_session_timeout={2} -c "
      "default_transaction_isolation=read\\ committed",
      config.statement_timeout.count(), lock_timeout.count(), 4 * config.statement_timeout.count());
  parameters.try_emplace("application_name", config.application_name);
  parameters.try_emplace("connect_timeout", std::to_string(kConnectTimeoutSeconds));
  parameters.try_emplace("gssencmode", "disable");
  return ToConnectionString(parameters);
}

// Whose rows the transaction sees, and how long each of its statements may take, in one round trip; none where the
// session's own settings hold.
void SetUp(pqxx::work& work, const TenantId* tenant, milliseconds statement_timeout, bool is_shorter) {
  const std::string timeout = std::to_string(statement_timeout.count());
  if (tenant != nullptr) {
    work.exec_params("SELECT set_config('allod.tenant', $1, true), set_config('statement_timeout', $2, true)",
                     tenant->ToString(), timeout);
  } else if (is_shorter) {
    work.exec_params("SELECT set_config('statement_timeout', $1, true)", timeout);
  }
}

Error CommitInDoubt() {
  return Error{Code::kUnavailable, "COMMIT_IN_DOUBT",
               "the connection to the database broke while the change was being saved; repeat the call with the same "
               "request_id",
               milliseconds(1000)};
}

}  // namespace

bool IsLocal(const PgConfig& config) {
  const auto parameters = ParseConnectionString(config.url);
  if (!parameters) return false;
  const auto host = parameters->find("host");
  return !parameters->contains("hostaddr") && host != parameters->end() && host->second.starts_with('/');
}

Result<PgConfig> ParsePgConfig(const nlohmann::json& json) {
  const ConfigFile file{"database", json};
  PgConfig out;
  std::int64_t acquire_ms = out.acquire_timeout.count();
  std::int64_t statement_ms = out.statement_timeout.count();
  ConfigReader reader(file);
  reader.Required("url", out.url);
  reader.Optional("password_file", out.password_file);
  reader.Optional("connections_max", out.connections_max);
  reader.Optional("acquire_timeout_ms", acquire_ms);
  reader.Optional("statement_timeout_ms", statement_ms);
  if (out.connections_max < 1 || out.connections_max > kConnectionsLimit) {
    reader.Complain(fmt::format("connections_max: must be 1 to {}", kConnectionsLimit));
  }
  if (acquire_ms < 1 || acquire_ms > 60'000) reader.Complain("acquire_timeout_ms: must be 1 to 60000");
  if (statement_ms < 1 || statement_ms > 600'000) reader.Complain("statement_timeout_ms: must be 1 to 600000");
  if (!out.url.empty()) {
    const auto parameters = ParseConnectionString(out.url);
    if (!parameters) {
      reader.Complain(parameters.error().message);
    } else if (parameters->contains("password")) {
      reader.Complain("url: must not hold the password; put it into a file and name that in password_file");
    }
  }
  out.acquire_timeout = milliseconds(acquire_ms);
  out.statement_timeout = milliseconds(statement_ms);
  return reader.Finish(out);
}

PgParam::PgParam(const pqxx::binarystring& value)
    : text_("\\x" + ToHex({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()})) {}

PgParam::PgParam(const std::vector<std::string>& elements) {
  std::string array = "{";
  for (const std::string& element : elements) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (const char c : element) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  text_ = array + "}";
}

pqxx::result PgTx::ExecText(std::string_view sql, const std::vector<PgParam>& params) {
  std::vector<const char*> pointers;
  pointers.reserve(params.size());
  for (const PgParam& param : params) {
    // libpq takes C strings: what follows a NUL would be lost without a word.
    if (param.text() && param.text()->find('\0') != std::string::npos) throw pqxx::argument_error("NUL in a text");
    pointers.push_back(param.text() ? param.text()->c_str() : nullptr);
  }
  auto& work = static_cast<Work&>(work_);
  try {
    pqxx::result out = work.exec_params(std::string(sql), pqxx::prepare::make_dynamic_params(pointers));
    work.failed = false;
    return out;
  } catch (...) {
    work.failed = true;
    throw;
  }
}

struct PgPool::Impl {
  explicit Impl(PgConfig pool_config) : config(std::move(pool_config)) {}

  using Connection = std::unique_ptr<pqxx::connection>;

  // Takes an idle connection or opens one.
  Result<Connection> Acquire(Deadline deadline) {
    if (deadline.passed()) return std::unexpected(DeadlineExceeded());
    {
      std::unique_lock lock(mutex);
      const bool free = changed.wait_for(lock, deadline.Bound(config.acquire_timeout),
                                         [&] { return !idle.empty() || open < config.connections_max; });
      if (!free) {
        if (deadline.passed()) return std::unexpected(DeadlineExceeded());
        return std::unexpected(Error{Code::kUnavailable, "DATABASE_BUSY",
                                     "all connections to the database are in use; try again shortly", kDoubtPause});
      }
      if (!idle.empty()) {
        Connection out = std::move(idle.back());
        idle.pop_back();
        return out;
      }
      ++open;
    }
    auto connection = Connect();
    if (!connection) Forget();
    return connection;
  }

  void Release(Connection connection, bool healthy) {
    if (!healthy || !connection->is_open()) {
      connection.reset();
      Forget();
      return;
    }
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(connection));
    changed.notify_one();
  }

  // One lost session mostly means that the server went away, and with it every idle one.
  void DropIdle() {
    std::vector<Connection> dropped;
    {
      const std::lock_guard lock(mutex);
      dropped.swap(idle);
      open -= static_cast<int>(dropped.size());
      changed.notify_all();
    }
  }

  const PgConfig config;

 private:
  Result<Connection> Connect() const {
    ALLOD_TRY(const std::string text, MakeConnectionString(config));
    try {
      auto out = std::make_unique<pqxx::connection>(text);
      // libpqxx 6 would otherwise open a new session inside a transaction whose own was lost.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
      out->inhibit_reactivation(true);
#pragma GCC diagnostic pop
      return out;
    } catch (const std::exception& e) {
      (void)ClassifyPgFailure(e);  // logs it
      return std::unexpected(DatabaseUnavailable());
    }
  }

  void Forget() {
    const std::lock_guard lock(mutex);
    --open;
    changed.notify_one();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Connection> idle;
  int open = 0;  // idle, in use and being opened
};

PgPool::PgPool(PgConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
PgPool::~PgPool() = default;

PgPool::AttemptResult PgPool::Try(const TenantId* tenant, const std::function<Status(pqxx::work&)>& body,
                                  Deadline deadline, Mode mode) {
  auto connection = impl_->Acquire(deadline);
  if (!connection) return {Attempt::kDone, std::unexpected(connection.error())};
  const milliseconds statement_timeout = deadline.Bound(impl_->config.statement_timeout);
  const bool is_shorter = statement_timeout < impl_->config.statement_timeout;
  if (statement_timeout == milliseconds(0)) {  // which would be no limit at all
    impl_->Release(*std::move(connection), true);
    return {Attempt::kDone, std::unexpected(DeadlineExceeded())};
  }
  pqxx::connection& session = **connection;
  const int backend_pid = session.backendpid();
  bool committing = false;
  AttemptResult out{Attempt::kDone, {}, backend_pid};
  bool lost = false;
  try {
    Work work(session);
    // Before anything else: the first statement takes the snapshot.
    if (mode == Mode::kSnapshot) work.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    SetUp(work, tenant, statement_timeout, is_shorter);
    PassFaultPoint(FaultPoint::kTransactionBegun);
    out.status = body(work);
    if (out.status && work.failed) {
      out.status = Internal("a failed statement was passed over; nothing was saved");
    }
    if (out.status) {
      PassFaultPoint(FaultPoint::kTransactionWritten);
      committing = true;
      work.commit();
      PassFaultPoint(FaultPoint::kTransactionCommitted);
    } else {
      work.abort();
    }
  } catch (const std::exception& e) {
    const PgFailure failure = ClassifyPgFailure(e);
    lost = failure.connection_lost || !session.is_open();
    out.status = std::unexpected(lost ? DatabaseUnavailable() : failure.error);
    if (!lost && is_shorter && failure.error.reason == kStatementTimeout) {
      out.status = std::unexpected(DeadlineExceeded());
    }
    const bool doubt = lost || dynamic_cast<const pqxx::in_doubt_error*>(&e) != nullptr;
    if (committing && doubt) {
      out.attempt = Attempt::kInDoubt;
    } else if (lost || failure.run_again) {
      out.attempt = Attempt::kRetry;
    }
  }
  impl_->Release(*std::move(connection), !lost);
  if (lost) impl_->DropIdle();
  return out;
}

// A lost session's server process may still be at its COMMIT; only after its end does a look-up tell the truth.
Status PgPool::AwaitBackendGone(int backend_pid) {
  bool alive = true;
  const auto look = [&](pqxx::work& work) -> Status {
    const auto rows = work.exec_params("SELECT 1 FROM pg_stat_activity WHERE pid = $1", backend_pid);
    alive = !rows.empty();
    return {};
  };
  for (int check = 0; check < kDoubtChecksMax; ++check) {
    const auto seen = Try(nullptr, look, Deadline::None());
    if (seen.status && !alive) return {};
    std::this_thread::sleep_for(kDoubtPause);
  }
  return std::unexpected(CommitInDoubt());
}

// OK: it was committed. NOT_FOUND: it was not, and never will be.
Status PgPool::ResolveDoubt(const TenantId* tenant, const std::function<Status(pqxx::work&)>& committed,
                            int backend_pid) {
  ALLOD_CHECK_OK(AwaitBackendGone(backend_pid));
  for (int check = 0; check < kDoubtChecksMax; ++check) {
    const AttemptResult seen = Try(tenant, committed, Deadline::None());
    if (seen.status || seen.status.error().code == Code::kNotFound) return seen.status;
    if (seen.attempt == Attempt::kDone && seen.status.error().code != Code::kUnavailable) return seen.status;
    std::this_thread::sleep_for(kDoubtPause);
  }
  return std::unexpected(CommitInDoubt());
}

Status PgPool::RunErased(const TenantId* tenant, const std::function<Status(pqxx::work&)>& body,
                         const std::function<Status(pqxx::work&)>* committed, Mode mode) {
  Deadline deadline = CurrentDeadline();
  AttemptResult attempt{Attempt::kDone, {}};
  for (int run = 0; run < kRunsMax; ++run) {
    if (run > 0) Backoff(run);
    attempt = Try(tenant, body, deadline, mode);
    if (attempt.attempt == Attempt::kDone) return attempt.status;
    if (attempt.attempt == Attempt::kRetry) continue;
    if (mode == Mode::kSnapshot) continue;  // it changed nothing
    Log(LogLevel::kWarning, "connection lost during COMMIT", {{"lookup", committed != nullptr ? "yes" : "no"}});
    if (committed == nullptr) return std::unexpected(CommitInDoubt());
    const Status resolved = ResolveDoubt(tenant, *committed, attempt.backend_pid);
    if (resolved || resolved.error().code != Code::kNotFound) return resolved;
    deadline = Deadline::None();  // to run it again may be to look what became of it
  }
  if (attempt.attempt == Attempt::kInDoubt) return std::unexpected(CommitInDoubt());
  return attempt.status;
}

Status PgPool::Ping() {
  const auto ask = [](pqxx::work& work) -> Status {
    work.exec("SELECT 1");
    return {};
  };
  const AttemptResult attempt = Try(nullptr, ask, CurrentDeadline());
  // An idle session of before a restart of the server; the next one is new.
  if (attempt.attempt == Attempt::kRetry) return Try(nullptr, ask, CurrentDeadline()).status;
  return attempt.status;
}

}  // namespace allod
