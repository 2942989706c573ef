#include "tests/fault/money_fixture.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/budget.grpc.pb.h"
#include "allod/billing/v1/event_sink.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "services/common/rpc/client.h"

namespace allod::fault {
namespace {

using gateway::Eventually;
using gateway::HttpClient;
using gateway::WorkerPeer;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kUnlimited = 60'000'000;
constexpr seconds kCallMax{5};
constexpr seconds kCutMax{8};
constexpr milliseconds kStall{200};
constexpr int kSeenWithinMs = 20;

std::string Program(const std::string& name) {
  const char* build = std::getenv("ALLOD_BUILD_DIR");
  if (build == nullptr) throw std::runtime_error("run this through ctest");
  return std::string(build) + "/tests/allod-" + name + "-armed";
}

// Of the text of an answer, each token of which is "w ".
std::int64_t TokensIn(const std::string& text) { return std::ranges::count(text, 'w'); }

// Of what came of a stream, its framing included.
std::int64_t TokensInStream(const std::string& raw) {
  constexpr std::string_view kContent = "\"content\":\"";
  std::int64_t out = 0;
  for (std::size_t at = raw.find(kContent); at != std::string::npos; at = raw.find(kContent, at)) {
    at += kContent.size();
    for (; at < raw.size() && raw[at] != '"'; ++at) out += raw[at] == 'w' ? 1 : 0;
  }
  return out;
}

// An error event after which an answer is billed as if the client had left then; every other one is our fault.
bool IsOfTheClient(const std::string& error) {
  return error.find("\"instance_changed\"") != std::string::npos ||
         error.find("\"reader_too_slow\"") != std::string::npos;
}

// Reads the events that came whole.
void ReadEvents(const std::string& body, Operation& operation) {
  constexpr std::string_view kData = "data: ";
  for (std::size_t at = 0;;) {
    const std::size_t end = body.find("\n\n", at);
    if (end == std::string::npos) {
      operation.has_part = at < body.size();
      return;
    }
    const std::string event = body.substr(at, end - at);
    at = end + 2;
    if (!event.starts_with(kData)) continue;
    if (event == "data: [DONE]") {
      operation.complete = true;
      continue;
    }
    const json parsed = json::parse(event.substr(kData.size()), nullptr, false);
    if (parsed.is_discarded()) continue;
    if (parsed.contains("error")) {
      operation.has_error = true;
      operation.error = parsed["error"].dump();
      continue;
    }
    for (const json& choice : parsed.value("choices", json::array())) {
      operation.received += TokensIn(choice.value("delta", json::object()).value("content", ""));
    }
  }
}

template <typename Request, typename Call>
void UntilDone(const std::string& what, Request request, const Call& call) {
  const auto end = steady_clock::now() + seconds(30);
  while (true) {
    const auto done = call(request);
    if (done) return;
    if (steady_clock::now() > end) throw std::runtime_error(what + ": " + done.error().message);
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

MoneySystem::MoneySystem(int request_timeout_ms) {
  key_ = tenancy_.AddKey(gateway::kProject, {tenancy::v1::ApiKey::SCOPE_INFERENCE});
  directory_.Write("pepper", gateway::kPepper);
  worker_.script = [this](grpc::ServerContext& context, const inference::v1::GenerateRequest& request,
                          WorkerPeer::Writer& writer) { return Generate(context, request, writer); };
  const auto serve = [&](const std::string& name, const std::vector<grpc::Service*>& services) {
    auto started = Server::Start({.listen = Target(name), .threads_max = 64}, services);
    if (!started) throw std::runtime_error(name + ": " + started.error().message);
    return *std::move(started);
  };
  tenancy_server_ = serve("tenancy", {&tenancy_, &projects_, &identities_, &tenants_});
  scheduling_server_ = serve("scheduling", {&routes_});
  worker_server_ = serve("worker", {&worker_});
  routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
  const PgConfig config = database_.app_config();
  json database = {{"url", cutter_.url()}, {"connections_max", 4}};
  if (!config.password_file.empty()) database["password_file"] = config.password_file;
  directory_.Write("billing.json",
                   json{{"listen", Target("billing")},
                        {"database", database},
                        {"tenancy_target", Target("tenancy")},
                        {"event_secret_file",
                         directory_.Write("event_secret", "a secret of thirty-two characters, at the least").string()},
                        {"event_networks_allowed", json::array({"127.0.0.0/8"})}}
                       .dump());
  for (int i = 0; i < kGateways; ++i) {
    directory_.Write(fmt::format("gateway{}.json", i),
                     json{{"http_listen", "127.0.0.1:0"},
                          {"tenancy_target", Target("tenancy")},
                          {"catalog_target", Target("catalog")},
                          {"billing_target", Target("billing")},
                          {"scheduling_target", Target("scheduling")},
                          {"redis_url", redis_.url()},
                          {"gateways", kGateways},
                          {"requests_per_minute", kUnlimited},
                          {"requests_per_minute_per_tenant", kUnlimited},
                          {"tokens_per_minute", kUnlimited},
                          {"tokens_per_minute_per_tenant", kUnlimited},
                          {"journal_slots", 512},
                          {"keep_alive_comment_ms", 200},
                          {"request_timeout_ms", request_timeout_ms},
                          {"send_buffer_bytes", 4096},
                          {"wake_wait_ms_max", 5000},
                          {"reserve_timeout_ms", 500},
                          {"jurisdiction", "ke"},
                          {"api_key_pepper_file", (directory_ / "pepper").string()},
                          {"journal_dir", (directory_ / fmt::format("journal{}", i)).string()}}
                         .dump());
  }
  StartBilling();
  OpenAccount();
  OpenBudgetAndSink();
  StartGateways();
}

MoneySystem::~MoneySystem() {
  for (auto& process : gateways_) process.reset();
  billing_.reset();
}

std::shared_ptr<grpc::Channel> MoneySystem::MakeChannelToBilling() const { return MakeChannel(Target("billing")); }

void MoneySystem::StartBilling() {
  billing_ = std::make_unique<Process>(
      std::vector<std::string>{Program("billing"), "--config", directory_ / "billing.json"},
      ProcessOptions{.environment = {billing_board_.environment()}, .output = directory_ / "billing.log"});
}

void MoneySystem::StartGateway(int gateway) {
  const std::string name = fmt::format("gateway{}", gateway);
  auto& process = gateways_[gateway];
  const auto end = steady_clock::now() + seconds(60);
  // It may be killed as it starts.
  while (steady_clock::now() < end) {
    std::filesystem::remove(directory_ / (name + ".log"));
    process = std::make_unique<Process>(
        std::vector<std::string>{Program("gateway"), "--config", directory_ / (name + ".json")},
        ProcessOptions{.environment = {gateway_board(gateway).environment()}, .output = directory_ / (name + ".log")});
    while (process->Running() && steady_clock::now() < end) {
      // It is ready when billing is there, which may be killed by what it asks.
      if (!billing_->Running()) StartBilling();
      const std::string output = process->Output();
      const auto at = output.find("port=");
      if (at != std::string::npos) {
        ports_[gateway] = std::atoi(output.c_str() + at + 5);
        try {
          if (gateway::Fetch(ports_[gateway], "GET", "/readyz", "").status == 200) return;
        } catch (const std::exception&) {
          // gone again
        }
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  throw std::runtime_error(name + " did not start: " + process->Output());
}

void MoneySystem::StartGateways() {
  for (int i = 0; i < kGateways; ++i) {
    if (!gateways_[i]) StartGateway(i);
  }
}

void MoneySystem::StopGateways() {
  // Those of before are ended once what they left is settled; of a tenant a gateway has one.
  Eventually([&] {
    pqxx::connection connection(database_.owner_url);
    pqxx::nontransaction session(connection);
    return session.exec("SELECT count(*) FROM billing.leases WHERE end_time IS NULL")[0][0].as<int>() <= kGateways;
  });
  for (auto& process : gateways_) {
    if (process) process->Stop(seconds(20));
    process.reset();
  }
}

bool MoneySystem::StartDead() {
  const std::lock_guard lock(processes_mutex_);
  bool any = false;
  if (!billing_->Running()) {
    any = true;
    StartBilling();
  }
  for (int i = 0; i < kGateways; ++i) {
    if (gateways_[i] && gateways_[i]->Running()) continue;
    any = true;
    StartGateway(i);
  }
  return any;
}

void MoneySystem::RestartWorker() {
  worker_server_->Stop(seconds(0));
  auto started = Server::Start({.listen = Target("worker"), .threads_max = 64}, {&worker_});
  if (!started) throw std::runtime_error("worker: " + started.error().message);
  worker_server_ = *std::move(started);
}

void MoneySystem::KillGateway(int gateway) {
  const std::lock_guard lock(processes_mutex_);
  gateways_[gateway]->Signal(SIGKILL);
  (void)gateways_[gateway]->Wait(seconds(5));
}

void MoneySystem::KillBilling() {
  const std::lock_guard lock(processes_mutex_);
  billing_->Signal(SIGKILL);
  (void)billing_->Wait(seconds(5));
}

void MoneySystem::OpenAccount() {
  billing::v1::CreatePriceBookRequest request;
  auto& book = *request.mutable_price_book();
  book.set_name(kPriceBook);
  book.set_listing("listings/starter");
  auto& price = *book.add_prices();
  price.set_currency_code("KES");
  price.set_prompt_price_per_million("1.5");
  price.set_completion_price_per_million("2.5");
  UntilDone("price book", request, [&](const auto& asked) {
    const auto stub = billing::v1::PriceBookService::NewStub(MakeChannelToBilling());
    return CallUnary(*stub, &billing::v1::PriceBookService::Stub::CreatePriceBook, asked, Caller::Operator(), kCallMax);
  });
  SetCreditLimit("1000000");
}

void MoneySystem::SetCreditLimit(const std::string& units) {
  billing::v1::SetBillingAccountRequest request;
  auto& account = *request.mutable_billing_account();
  account.set_name(std::string(kTenant) + "/billingAccount");
  account.set_currency_code("KES");
  account.set_credit_limit(units);
  UntilDone("account", request, [&](const auto& asked) {
    const auto stub = billing::v1::BillingAccountService::NewStub(MakeChannelToBilling());
    auto done = CallUnary(*stub, &billing::v1::BillingAccountService::Stub::SetBillingAccount, asked,
                          Caller::Operator(), kCallMax);
    if (!done) {
      const std::lock_guard lock(processes_mutex_);
      if (!billing_->Running()) StartBilling();
    }
    return done;
  });
}

void MoneySystem::OpenBudgetAndSink() {
  billing::v1::CreateBudgetRequest budget;
  budget.set_parent(kTenant);
  budget.set_budget_id("all");
  budget.mutable_budget()->set_display_name("All");
  budget.mutable_budget()->set_period(billing::v1::Budget::PERIOD_TOTAL);
  budget.mutable_budget()->set_amount("1000000");
  budget.mutable_budget()->set_hard(true);
  budget.mutable_budget()->add_thresholds(1);
  UntilDone("budget", budget, [&](const auto& asked) {
    using Budgets = billing::v1::BudgetService;
    return CallUnary(*Budgets::NewStub(MakeChannelToBilling()), &Budgets::Stub::CreateBudget, asked, Caller::Operator(),
                     kCallMax);
  });
  billing::v1::CreateEventSinkRequest sink;
  sink.set_parent(kTenant);
  sink.set_event_sink_id("told");
  sink.mutable_event_sink()->set_display_name("Told");
  sink.mutable_event_sink()->set_url(receiver_.url());
  sink.mutable_event_sink()->add_kinds("usage.recorded");
  UntilDone("event sink", sink, [&](const auto& asked) {
    using Sinks = billing::v1::EventSinkService;
    return CallUnary(*Sinks::NewStub(MakeChannelToBilling()), &Sinks::Stub::CreateEventSink, asked, Caller::Operator(),
                     kCallMax);
  });
}

std::string MoneySystem::ReceiveEvents(const ReceivedRequest& request) {
  const json events = json::parse(request.body, nullptr, false);
  const std::lock_guard lock(mutex_);
  for (const json& event : events) told_.insert(event.at("id").get<std::string>());
  return HttpReceiver::Response("200 OK");
}

bool MoneySystem::AwaitCut(grpc::ServerContext& context, int number) {
  const auto is_gone = [&] {
    const std::lock_guard lock(mutex_);
    return gone_.contains(number);
  };
  while (!context.IsCancelled() && !is_gone()) std::this_thread::sleep_for(milliseconds(1));
  // A gateway that sees it at once asks for no more.
  for (int i = 0; i < kSeenWithinMs && !context.IsCancelled(); ++i) std::this_thread::sleep_for(milliseconds(1));
  return !context.IsCancelled();
}

grpc::Status MoneySystem::Generate(grpc::ServerContext& context, const inference::v1::GenerateRequest& request,
                                   WorkerPeer::Writer& writer) {
  std::istringstream text(request.chat().messages(0).content());
  int number = 0;
  std::int64_t tokens = 0;
  std::int64_t piece = 0;
  int pause_ms = 0;
  std::int64_t cut_at = -1;
  text >> number >> tokens >> piece >> pause_ms >> cut_at;
  ++calls_open_;
  const std::shared_ptr<void> closing(nullptr, [this](void*) { --calls_open_; });
  {
    const std::lock_guard lock(mutex_);
    auto& ids = request_ids_[number];
    if (std::ranges::find(ids, request.request_id()) == ids.end()) ids.push_back(request.request_id());
  }
  WorkerPeer::Started(writer, kPromptTokens);
  for (std::int64_t given = 0; given < tokens && !context.IsCancelled();) {
    if (given == cut_at && !AwaitCut(context, number)) break;
    const std::int64_t now = std::min(piece, tokens - given);
    std::string words;
    for (std::int64_t i = 0; i < now; ++i) words += "w ";
    {
      // What is handed to a call may arrive, also when this is not told so.
      const std::lock_guard lock(mutex_);
      given_[number] = given + now;
    }
    if (!WorkerPeer::Delta(writer, words, static_cast<int>(now))) break;
    given += now;
    if (pause_ms > 0) std::this_thread::sleep_for(milliseconds(pause_ms));
  }
  if (tokens == cut_at) (void)AwaitCut(context, number);
  if (context.IsCancelled()) return grpc::Status::CANCELLED;
  WorkerPeer::ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_STOP);
  WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
  return grpc::Status::OK;
}

bool MoneySystem::Cut(Operation& operation, HttpClient& client) {
  using Kind = Operation::Kind;
  const auto end = steady_clock::now() + kCutMax;
  const bool waits = operation.cut_at >= 0;
  if (operation.kind == Kind::kStall || operation.cut_at == 0) {
    // Reads nothing at all.
    const auto has_come = [&] {
      operation.received = std::max(operation.received, TokensInStream(client.Peek()));
      return !RequestIds(operation.number).empty() && operation.received >= (waits ? operation.cut_at : 1);
    };
    while (!has_come()) {
      if (client.HasEnded() || steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(2));
    }
    if (operation.kind == Kind::kStall) {
      std::this_thread::sleep_for(kStall);
      (void)has_come();
    }
  } else {
    const auto has_all = [&](const std::string& raw) { return TokensInStream(raw) >= operation.cut_at; };
    if (!client.ReadUntil(has_all)) return false;
    operation.received = operation.cut_at;
  }
  if (operation.kind == Kind::kClose) {
    client.Close();
  } else {
    client.Reset();
  }
  return true;
}

void MoneySystem::Converse(Operation& operation, HttpClient& client) {
  using Kind = Operation::Kind;
  const bool stream = operation.kind != Kind::kWhole;
  if (operation.kind == Kind::kHalfClose && client.ReadUntil("\"content\":\"w")) client.CloseSending();
  if (operation.kind == Kind::kReset || operation.kind == Kind::kClose || operation.kind == Kind::kStall) {
    operation.is_cut = Cut(operation, client);
    const std::lock_guard lock(mutex_);
    gone_.insert(operation.number);
  }
  if (operation.is_cut) return;
  const HttpClient::Response response = client.Receive();
  operation.received = 0;
  operation.status = response.status;
  operation.has_error = response.status >= 400;
  if (operation.has_error) operation.error = response.body;
  if (response.status == 200 && stream) ReadEvents(response.body, operation);
  if (response.status == 200 && !stream && response.complete) {
    operation.complete = true;
    operation.received =
        TokensIn(json::parse(response.body).at("choices").at(0).at("message").at("content").get<std::string>());
  }
}

Operation MoneySystem::Ask(int gateway, Operation::Kind kind, std::int64_t tokens, std::int64_t piece, int pause_ms) {
  using Kind = Operation::Kind;
  Operation operation{.number = next_number_++, .kind = kind, .wanted = tokens, .piece = piece, .pause_ms = pause_ms};
  if (kind == Kind::kReset || kind == Kind::kClose || kind == Kind::kStall) {
    // Of a stream that nobody reads, what fits into the buffers between; or more than that, and it is not known how
    // much.
    const std::int64_t pieces = kind == Kind::kStall ? std::min<std::int64_t>(2, tokens / piece) : tokens / piece;
    operation.cut_at = piece * (operation.number % (pieces + 1));
    if (kind == Kind::kStall && operation.number % 4 == 0) operation.cut_at = -1;
  }
  const std::string body =
      json{{"model", "assistant"},
           {"stream", kind != Operation::Kind::kWhole},
           {"max_tokens", tokens + 10},
           {"messages", json::array({{{"role", "user"},
                                      {"content", fmt::format("{} {} {} {} {}", operation.number, tokens, piece,
                                                              pause_ms, operation.cut_at)}}})}}
          .dump();
  try {
    HttpClient client(ports_[gateway], kind == Operation::Kind::kStall ? 4096 : 0);
    // So that one which reads for something that does not come sees the end.
    client.Send("POST", "/v1/chat/completions", key_, body, "connection: close\r\n");
    Converse(operation, client);
  } catch (const std::runtime_error&) {
    // nobody listens: it was killed
  }
  const std::lock_guard lock(mutex_);
  operations_[operation.number] = operation;
  return operation;
}

std::vector<Operation> MoneySystem::operations() const {
  const std::lock_guard lock(mutex_);
  std::vector<Operation> out;
  for (const auto& [number, operation] : operations_) out.push_back(operation);
  return out;
}

std::vector<std::string> MoneySystem::RequestIds(int operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = request_ids_.find(operation);
  return found == request_ids_.end() ? std::vector<std::string>() : found->second;
}

Amount MoneySystem::Owed() const {
  pqxx::connection connection(database_.owner_url);
  pqxx::nontransaction session(connection);
  const auto owed = session.exec("SELECT (-posted)::text FROM billing.ledger_accounts WHERE code = 'receivable'");
  return owed.empty() ? Amount() : Amount::FromPico(Int128{std::atoll(owed[0][0].c_str())});
}

std::map<std::string, Record> MoneySystem::Records() const {
  pqxx::connection connection(database_.owner_url);
  pqxx::nontransaction session(connection);
  std::map<std::string, Record> out;
  for (const auto& row : session.exec("SELECT request_id, outcome, billed, prompt_tokens, completion_tokens "
                                      "FROM billing.usage_records")) {
    const auto id = row[0].as<std::string>();
    out[id] = {id, row[1].as<std::string>(), row[2].as<bool>(), row[3].as<std::int64_t>(), row[4].as<std::int64_t>()};
  }
  return out;
}

std::optional<milliseconds> MoneySystem::AwaitSettled(seconds most) {
  std::this_thread::sleep_for(milliseconds(200));  // a point says that it fired a moment before its process is dead
  const auto start = steady_clock::now();
  while (steady_clock::now() - start < most) {
    (void)StartDead();
    const auto records = Records();
    std::size_t missing = 0;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [number, ids] : request_ids_) {
        for (const std::string& id : ids) missing += records.contains(id) ? 0 : 1;
      }
    }
    if (missing == 0) return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
    std::this_thread::sleep_for(milliseconds(50));
  }
  return std::nullopt;
}

std::vector<std::string> MoneySystem::FaultsOfBooks() const {
  std::vector<std::string> out;
  const auto stub = billing::v1::LedgerService::NewStub(MakeChannelToBilling());
  const auto checked = CallUnary(*stub, &billing::v1::LedgerService::Stub::CheckLedger,
                                 billing::v1::CheckLedgerRequest(), Caller::Operator(), seconds(30));
  if (!checked) return {"CheckLedger: " + checked.error().message};
  for (const auto& sum : checked->sums()) {
    if (sum.amount() != "0") out.push_back(fmt::format("{} sums to {}", sum.currency_code(), sum.amount()));
  }
  for (const std::string& account : checked->mismatched_accounts()) out.push_back("mismatched: " + account);
  for (const std::string& tenant : checked->unaudited_tenants()) out.push_back("unaudited: " + tenant);
  const auto none = [&](const char* what, std::int64_t count) {
    if (count != 0) out.push_back(fmt::format("{}: {}", what, count));
  };
  none("open reservations", checked->open_reservation_count());
  none("open leases", checked->open_lease_count());
  none("records beyond their hold", checked->excess_usage_record_count());
  none("records that a lease did not cover", checked->short_usage_record_count());
  pqxx::connection connection(database_.owner_url);
  pqxx::nontransaction session(connection);
  const auto held = session.exec("SELECT coalesce(sum(held), 0)::text FROM billing.ledger_accounts")[0][0];
  if (held.as<std::string>() != "0") out.push_back("held: " + held.as<std::string>());
  const auto owed = session.exec(
      "SELECT (SELECT coalesce(sum(cost) FILTER (WHERE billed), 0) FROM billing.usage_records) + (SELECT "
      "coalesce(sum(posted), 0) FROM billing.ledger_accounts WHERE code = 'receivable')")[0][0];
  if (owed.as<std::string>() != "0") out.push_back("records and what is owed differ by " + owed.as<std::string>());
  if (std::string fault = FaultOfBudget(); !fault.empty()) out.push_back(std::move(fault));
  return out;
}

std::string MoneySystem::CheckOperation(const Operation& operation,
                                        const std::map<std::string, Record>& records) const {
  const std::vector<std::string> ids = RequestIds(operation.number);
  const std::string name = fmt::format("operation {} (kind {}, {} of {} tokens received, status {}, {})",
                                       operation.number, static_cast<int>(operation.kind), operation.received,
                                       operation.wanted, operation.status, operation.error);
  if (ids.empty()) return operation.received == 0 ? "" : name + ": no worker had it";
  if (ids.size() > 1) return name + ": the worker had it under several ids";
  const auto found = records.find(ids.front());
  if (found == records.end()) return name + ": not recorded (lost)";
  const Record& record = found->second;
  const std::string what = fmt::format("{}: recorded as {}, billed {}, {} tokens", name, record.outcome, record.billed,
                                       record.completion_tokens);
  const std::int64_t billed = record.billed ? record.completion_tokens : 0;
  if (record.billed && record.prompt_tokens != kPromptTokens) return what + ": the prompt";
  using Kind = Operation::Kind;
  std::int64_t given = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto handed = given_.find(operation.number); handed != given_.end()) given = handed->second;
  }
  if (billed > given) return what + ": more than was computed";
  // The limit of its time ends an answer before its end, and in good order.
  if (operation.complete) return record.billed && billed == operation.received ? "" : what;
  // Our fault: it is not billed, whatever came.
  if (!record.billed && record.outcome == "fault") return "";
  const bool is_lost = record.outcome == "gateway_lost";
  if (operation.has_error && billed == 0) return "";
  if (operation.has_error && !is_lost && !IsOfTheClient(operation.error)) return what + ": our fault, and billed";
  // One that was being handed over as the gateway died counts as answered.
  if (operation.kind == Kind::kWhole) {
    return billed == 0 || (!operation.has_error && billed == operation.wanted) ? "" : what;
  }
  if (billed < operation.received) return what + ": less than came";
  if (operation.is_cut && operation.kind != Kind::kClose && operation.received == 0 && record.billed && !is_lost) {
    return what + ": nothing came, and billed";
  }
  // More than that a connection can have begun to take only of what was handed to it
  // - as the gateway died, or as the client closed and nothing had come back from it yet: one piece;
  // - while nobody read: what is in the buffers between.
  if (operation.is_cut && operation.cut_at < 0) return "";
  const bool may_be_one_more = operation.has_part || is_lost || (operation.is_cut && operation.kind == Kind::kClose);
  const std::int64_t most = operation.received + (may_be_one_more ? operation.piece : 0);
  return billed <= most ? "" : what + ": more than was handed over";
}

MoneySystem::CutStreams MoneySystem::CountCutStreams() const {
  CutStreams out;
  const auto records = Records();
  for (const Operation& operation : operations()) {
    if (!operation.is_cut) continue;
    ++out.count;
    const std::vector<std::string> ids = RequestIds(operation.number);
    const auto found = ids.empty() ? records.end() : records.find(ids.front());
    if (found == records.end()) continue;
    const Record& record = found->second;
    const bool is_billed_rightly = record.billed == (operation.received > 0);
    out.exact += is_billed_rightly && record.completion_tokens == operation.received ? 1 : 0;
  }
  return out;
}

std::string MoneySystem::FaultOfBudget() const {
  billing::v1::GetBudgetRequest request;
  request.set_name(std::string(kTenant) + "/budgets/all");
  using Budgets = billing::v1::BudgetService;
  const auto budget = CallUnary(*Budgets::NewStub(MakeChannelToBilling()), &Budgets::Stub::GetBudget, request,
                                Caller::Operator(), kCallMax);
  if (!budget) return "budget: " + budget.error().message;
  if (budget->spent().amount() == Owed().ToString() && budget->held().amount() == "0") return "";
  return fmt::format("budget: {} spent and {} held, {} owed", budget->spent().amount(), budget->held().amount(),
                     Owed().ToString());
}

void MoneySystem::ReleaseEventClaims() {
  pqxx::connection connection(database_.owner_url);
  pqxx::work work(connection);
  work.exec("UPDATE billing.event_sinks SET next_attempt_time = '-infinity'");
  work.commit();
}

std::vector<std::string> MoneySystem::FaultsOfEvents(seconds most) {
  ReleaseEventClaims();
  const auto end = steady_clock::now() + most;
  while (true) {
    std::vector<std::string> out;
    std::size_t known = 0;
    {
      const auto records = Records();
      const std::lock_guard lock(mutex_);
      for (const auto& [id, record] : records) {
        if (told_.contains(id)) {
          ++known;
        } else if (out.size() < 10) {
          out.push_back("not told: " + id);
        }
      }
      if (known != told_.size()) out.push_back(fmt::format("{} told and not recorded", told_.size() - known));
    }
    if (out.empty() || steady_clock::now() > end) return out;
    std::this_thread::sleep_for(milliseconds(50));
  }
}

std::vector<std::string> MoneySystem::FaultsOfOperations() const {
  std::vector<std::string> out;
  const auto records = Records();
  for (const Operation& operation : operations()) {
    if (std::string fault = CheckOperation(operation, records); !fault.empty()) out.push_back(std::move(fault));
  }
  return out;
}

std::string MoneySystem::Logs() const {
  std::string out;
  for (const char* name : {"billing", "gateway0", "gateway1"}) {
    std::ifstream in(directory_ / (std::string(name) + ".log"));
    std::ostringstream text;
    text << in.rdbuf();
    const std::string all = text.str();
    out += fmt::format("== {}\n{}\n", name, all.size() > 3000 ? all.substr(all.size() - 3000) : all);
  }
  return out;
}

}  // namespace allod::fault
