// Where money is made and kept, as an installation runs it: two real gateways and a real billing over PostgreSQL, armed
// (tests/support/fault_board.h), and a worker of the test's own, which writes down what it was asked for and how much
// it gave. The tenant has a hard budget for all that it does and a webhook that is told of all usage. Whatever dies, is
// started again.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "allod/billing/v1/ledger.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/money.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/gateway_peers.h"
#include "tests/support/commit_cutter.h"
#include "tests/support/fault_board.h"
#include "tests/support/http_receiver.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/process.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod::fault {

// One request of a client, and what it saw.
struct Operation {
  enum class Kind { kStream, kLongStream, kWhole, kReset, kClose, kHalfClose, kStall };
  int number = 0;
  Kind kind = Kind::kStream;
  std::int64_t wanted = 0;  // tokens
  std::int64_t piece = 1;   // tokens that the worker gives at once
  int pause_ms = 0;         // between two of them
  // The worker gives so many and waits until the client has cut; negative: it does not wait.
  std::int64_t cut_at = -1;
  bool is_cut = false;        // by the client, after it had all of those
  std::int64_t received = 0;  // tokens of events that came whole
  bool has_part = false;      // of one more event
  bool complete = false;      // the answer came to its end
  bool has_error = false;     // a status of 4xx or 5xx, or an error event
  int status = 0;
  std::string error;
};

// A row of usage_records.
struct Record {
  std::string request_id;
  std::string outcome;
  bool billed = false;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
};

class TenantPeer final : public tenancy::v1::TenantService::Service {
 public:
  grpc::Status GetTenant(grpc::ServerContext*, const tenancy::v1::GetTenantRequest* request,
                         tenancy::v1::Tenant* response) override {
    response->set_name(request->name());
    response->set_currency_code("KES");
    return grpc::Status::OK;
  }
};

class MoneySystem {
 public:
  static constexpr int kGateways = 2;
  static constexpr int kPromptTokens = 7;
  static constexpr char kTenant[] = "tenants/ke";
  static constexpr char kPriceBook[] = "priceBooks/01890000-0000-7000-8000-000000000000";

  // All started and answering; throws std::runtime_error. Needs ALLOD_BUILD_DIR, which ctest gives.
  explicit MoneySystem(int request_timeout_ms = 300'000);
  ~MoneySystem();
  MoneySystem(const MoneySystem&) = delete;

  // What a client does; any thread.
  Operation Ask(int gateway, Operation::Kind kind, std::int64_t tokens, std::int64_t piece = 1, int pause_ms = 0);
  void SetCreditLimit(const std::string& units);  // until billing has it
  Amount Owed() const;                            // posted so far
  // Starts what has died. Whether anything had.
  bool StartDead();
  void KillGateway(int gateway);
  void KillBilling();
  // Every call that it has is cut.
  void RestartWorker();
  // Calls that a worker has.
  int calls_open() const { return calls_open_; }
  FaultBoard& gateway_board(int gateway) { return gateway_boards_[static_cast<std::size_t>(gateway)]; }
  FaultBoard& billing_board() { return billing_board_; }
  CommitCutter& cutter() { return cutter_; }
  gateway::RoutePeer& routes() { return routes_; }
  TestRedis& redis() { return redis_; }  // where the gateways share limits
  std::string worker_target() const { return Target("worker"); }
  std::string owner_url() const { return database_.owner_url; }
  std::shared_ptr<grpc::Channel> billing_channel() const { return MakeChannelToBilling(); }

  std::vector<Operation> operations() const;
  // The request ids under which the worker was asked for an operation: one, or none.
  std::vector<std::string> RequestIds(int operation) const;
  std::map<std::string, Record> Records() const;
  // Ends all gateways in good order: what they have leased comes back.
  void StopGateways();
  void StartGateways();
  // Until every request that a worker had is recorded. How long it took; nothing after `most`.
  std::optional<std::chrono::milliseconds> AwaitSettled(std::chrono::seconds most);
  // One line of text for each thing that is wrong with the books; empty is right. Gateways must be stopped.
  std::vector<std::string> FaultsOfBooks() const;
  // What clients saw against what is recorded.
  std::vector<std::string> FaultsOfOperations() const;
  // Of the streams that a client cut: how many there were, and how many are billed for just what it had.
  struct CutStreams {
    int count = 0;
    int exact = 0;
  };
  CutStreams CountCutStreams() const;
  // A webhook that a killed billing was sending to would be sent to again 20 s later.
  void ReleaseEventClaims();
  // What the webhook of the tenant was told against what is recorded; waits for it.
  std::vector<std::string> FaultsOfEvents(std::chrono::seconds most);
  std::string Logs() const;

 private:
  std::string Target(const std::string& name) const { return "unix:" + (directory_ / (name + ".sock")).string(); }
  std::shared_ptr<grpc::Channel> MakeChannelToBilling() const;
  void StartBilling();
  void StartGateway(int gateway);
  void OpenAccount();
  void OpenBudgetAndSink();
  std::string ReceiveEvents(const ReceivedRequest& request);
  std::string FaultOfBudget() const;
  // Whether it has cut.
  bool Cut(Operation& operation, gateway::HttpClient& client);
  bool AwaitCut(grpc::ServerContext& context, int number);
  void Converse(Operation& operation, gateway::HttpClient& client);
  grpc::Status Generate(grpc::ServerContext& context, const inference::v1::GenerateRequest& request,
                        gateway::WorkerPeer::Writer& writer);
  std::string CheckOperation(const Operation& operation, const std::map<std::string, Record>& records) const;

  TempDir directory_;
  TestDatabase database_{"billing"};
  CommitCutter cutter_{database_.app_config().url};
  TestRedis redis_;
  std::vector<FaultBoard> gateway_boards_{kGateways};
  FaultBoard billing_board_;
  std::string key_;
  gateway::TenancyPeer tenancy_;
  gateway::ProjectPeer projects_;
  gateway::IdentityPeer identities_;
  TenantPeer tenants_;
  gateway::RoutePeer routes_;
  gateway::WorkerPeer worker_;
  std::unique_ptr<Server> tenancy_server_, scheduling_server_, worker_server_;
  std::unique_ptr<Process> billing_;
  std::unique_ptr<Process> gateways_[kGateways];
  std::atomic<int> ports_[kGateways];
  std::atomic<int> next_number_{1};
  std::atomic<int> calls_open_{0};
  std::mutex processes_mutex_;
  mutable std::mutex mutex_;
  std::map<int, Operation> operations_;
  std::map<int, std::vector<std::string>> request_ids_;
  std::map<int, std::int64_t> given_;  // tokens that a worker had handed out
  std::set<int> gone_;                 // whose clients have cut
  std::set<std::string> told_;         // requests that the webhook was told of
  HttpReceiver receiver_{[this](const ReceivedRequest& request) { return ReceiveEvents(request); }};
};

}  // namespace allod::fault
