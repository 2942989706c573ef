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

std::string Program(const std::string& name) {
  const char* build = std::getenv("ALLOD_BUILD_DIR");
  if (build == nullptr) throw std::runtime_error("run this through ctest");
  return std::string(build) + "/tests/allod-" + name + "-armed";
}

// Of the text of an answer, each token of which is "w ".
std::int64_t TokensIn(const std::string& text) { return std::ranges::count(text, 'w'); }

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
  directory_.Write(
      "billing.json",
      json{{"listen", Target("billing")}, {"database", database}, {"tenancy_target", Target("tenancy")}}.dump());
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

grpc::Status MoneySystem::Generate(grpc::ServerContext& context, const inference::v1::GenerateRequest& request,
                                   WorkerPeer::Writer& writer) {
  std::istringstream text(request.chat().messages(0).content());
  int number = 0;
  std::int64_t tokens = 0;
  std::int64_t piece = 0;
  int pause_ms = 0;
  text >> number >> tokens >> piece >> pause_ms;
  ++calls_open_;
  const std::shared_ptr<void> closing(nullptr, [this](void*) { --calls_open_; });
  {
    const std::lock_guard lock(mutex_);
    auto& ids = request_ids_[number];
    if (std::ranges::find(ids, request.request_id()) == ids.end()) ids.push_back(request.request_id());
  }
  WorkerPeer::Started(writer, kPromptTokens);
  for (std::int64_t given = 0; given < tokens && !context.IsCancelled();) {
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
  if (context.IsCancelled()) return grpc::Status::CANCELLED;
  WorkerPeer::ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_STOP);
  WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
  return grpc::Status::OK;
}

void MoneySystem::Converse(Operation& operation, HttpClient& client) {
  using Kind = Operation::Kind;
  const bool stream = operation.kind != Kind::kWhole;
  const bool is_cut = operation.kind == Kind::kReset || operation.kind == Kind::kClose ||
                      operation.kind == Kind::kHalfClose || operation.kind == Kind::kStall;
  if (is_cut && client.ReadUntil("\"content\":\"w")) {
    // Pieces go to the socket one after the other: the first has come, in part at least.
    operation.received = 1;
    if (operation.kind == Kind::kStall) std::this_thread::sleep_for(milliseconds(200));
    if (operation.kind == Kind::kHalfClose) client.CloseSending();
    if (operation.kind == Kind::kClose) client.Close();
    if (operation.kind == Kind::kReset || operation.kind == Kind::kStall) client.Reset();
  }
  if (is_cut && operation.kind != Kind::kHalfClose) return;
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
  Operation operation{.number = next_number_++, .kind = kind, .wanted = tokens, .piece = piece, .pause_ms = pause_ms};
  const std::string body =
      json{{"model", "assistant"},
           {"stream", kind != Operation::Kind::kWhole},
           {"max_tokens", tokens + 10},
           {"messages",
            json::array({{{"role", "user"},
                          {"content", fmt::format("{} {} {} {}", operation.number, tokens, piece, pause_ms)}}})}}
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
  const auto start = steady_clock::now();
  while (steady_clock::now() - start < most) {
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
  if (operation.has_error && billed == 0) return "";
  if (operation.kind == Kind::kWhole) return billed == 0 || billed == operation.wanted ? "" : what;
  if (billed < operation.received) return what + ": less than came";
  // Of what was being handed over as a gateway died one piece may not have come; who closes does not see what is on its
  // way.
  const bool sees_all =
      operation.kind == Kind::kStream || operation.kind == Kind::kLongStream || operation.kind == Kind::kHalfClose;
  const std::int64_t most =
      operation.received + (operation.has_part || record.outcome == "gateway_lost" ? operation.piece : 0);
  return !sees_all || billed <= most ? "" : what + ": more than was handed over";
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
