#include "tests/integration/programs_fixture.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>
#include <utility>

#include "allod/billing/v1/price_book.grpc.pb.h"
#include "services/common/rpc/client.h"

namespace allod {
namespace {

using nlohmann::json;

constexpr auto kStartMax = std::chrono::seconds(60);
constexpr int kUnlimited = 60'000'000;

// What an import and its compression would have left.
constexpr char kCatalog[] = R"sql(
INSERT INTO catalog.publishers VALUES ('allod', 'Allod', now());
INSERT INTO catalog.models VALUES ('starter', 'allod', 'Starter', '', now());
INSERT INTO catalog.versions (model_id, id, license, source_sha256, architecture, parameter_count,
  trained_context_tokens, vocabulary_size, has_chat_template, create_time)
  VALUES ('starter', 'v1', 'Apache-2.0', repeat('a', 64), 'llama', 4000000, 4096, 512, true, now());
INSERT INTO catalog.variants VALUES ('starter', 'v1', 'q4_k_m', 'Q4_K_M', repeat('b', 64), 1048576, 1048576, 4.5, 9, 8,
  0.1, 0.9, 1000, repeat('c', 64), 100, 100, 'a test', now(), '{"Q4_K": 1}', now());
INSERT INTO catalog.listings VALUES ('starter', 'starter', 'v1', 'Starter', 'Apache-2.0', '{ke,tz}',
  '01890000-0000-7000-8000-000000000001', 'ACTIVE', now());
INSERT INTO catalog.listing_prices VALUES ('starter', 'KES', '', 1000000, 2000000);
)sql";

void CreatePriceBook(const std::shared_ptr<grpc::Channel>& billing) {
  billing::v1::CreatePriceBookRequest request;
  auto& book = *request.mutable_price_book();
  book.set_name(Programs::kPriceBook);
  book.set_listing(Programs::kListing);
  auto& price = *book.add_prices();
  price.set_instance_price_per_hour("0.9");
  price.set_currency_code("KES");
  price.set_prompt_price_per_million("1");
  price.set_completion_price_per_million("2");
  const auto stub = billing::v1::PriceBookService::NewStub(billing);
  const auto made = CallUnary(*stub, &billing::v1::PriceBookService::Stub::CreatePriceBook, request, Caller::Operator(),
                              std::chrono::seconds(10));
  if (!made) throw std::runtime_error("no price book: " + made.error().message);
}

}  // namespace

Programs::Programs(std::map<std::string, std::string> armed) : armed_(std::move(armed)) {
  dir_.Write("pepper", "a pepper that only this test knows");
  const std::string pepper = (dir_ / "pepper").string();
  FillCatalog();
  const auto service = [&](const std::string& area, json more) {
    const PgConfig config = database_.app_config(area);
    json database = {{"url", config.url}, {"connections_max", 4}};
    if (!config.password_file.empty()) database["password_file"] = config.password_file;
    more["listen"] = Target(area);
    more["database"] = database;
    Start(area, more.dump());
  };
  service("tenancy", {{"api_key_pepper_file", pepper}, {"jurisdiction", "ke"}, {"tenant_grace_min_s", 0}});
  dir_.Write("event_secret", "a secret of thirty-two characters that only this test knows");
  service("billing", {{"tenancy_target", Target("tenancy")},
                      {"event_secret_file", (dir_ / "event_secret").string()},
                      {"event_networks_allowed", json::array({"127.0.0.0/8"})}});
  std::filesystem::create_directory(dir_ / "artifacts");
  service("catalog", {{"artifact_dir", (dir_ / "artifacts").string()}, {"billing_target", Target("billing")}});
  service("scheduling", {{"tenancy_target", Target("tenancy")},
                         {"catalog_target", Target("catalog")},
                         {"billing_target", Target("billing")},
                         {"regions", json::array({{{"name", "ke-1"}, {"jurisdiction", "ke"}}})}});
  const auto deadline = std::chrono::system_clock::now() + kStartMax;
  for (const auto& [area, process] : processes_) AwaitAnswer(area);
  CreatePriceBook(channels_.at("billing"));
  Start("gateway", json{{"http_listen", "127.0.0.1:0"},
                        {"tenancy_target", Target("tenancy")},
                        {"catalog_target", Target("catalog")},
                        {"billing_target", Target("billing")},
                        {"scheduling_target", Target("scheduling")},
                        {"redis_url", redis_.url()},
                        {"requests_per_minute", kUnlimited},
                        {"requests_per_minute_per_tenant", kUnlimited},
                        {"wake_wait_ms_max", 0},
                        {"key_use_report_ms", 1000},
                        {"api_key_pepper_file", pepper},
                        {"jurisdiction", "ke"},
                        {"journal_dir", (dir_ / "journal").string()}}
                       .dump());
  const Process& gateway = *processes_.at("gateway");
  constexpr std::string_view kPort = "port=";
  while (gateway_port_ == 0) {
    const std::string output = gateway.Output();
    if (const auto at = output.find(kPort); at != std::string::npos) {
      gateway_port_ = std::atoi(output.c_str() + at + kPort.size());
    } else if (std::chrono::system_clock::now() > deadline) {
      throw std::runtime_error("the gateway did not start: " + output);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

Programs::~Programs() {
  processes_.erase("gateway");  // who calls ends before who is called
  for (auto& [area, process] : processes_) process->Signal(SIGTERM);
  for (auto& [area, process] : processes_) process->Stop();
}

std::shared_ptr<grpc::Channel> Programs::ChannelTo(const std::string& area) const {
  const auto found = channels_.find(area);
  return found == channels_.end() ? nullptr : found->second;
}

void Programs::KillAndStartAgain(const std::string& area) {
  processes_.erase(area);
  Run(area);
  AwaitAnswer(area);
}

void Programs::Start(const std::string& area, const std::string& config) {
  dir_.Write(area + ".json", config);
  Run(area);
}

void Programs::Run(const std::string& area) {
  const char* build = std::getenv("ALLOD_BUILD_DIR");
  if (build == nullptr) throw std::runtime_error("run this through ctest");
  ProcessOptions options{.output = dir_ / (area + ".log")};
  std::string program = std::string(build) + "/bin/allod-" + area;
  if (const auto armed = armed_.find(area); armed != armed_.end()) {
    program = std::string(build) + "/tests/allod-" + area + "-armed";
    options.environment = {armed->second};
  }
  processes_[area] =
      std::make_unique<Process>(std::vector<std::string>{program, "--config", dir_ / (area + ".json")}, options);
}

void Programs::AwaitAnswer(const std::string& area) {
  // A channel of before waits before it tries again.
  const auto fresh = MakeChannel(Target(area));
  if (!fresh->WaitForConnected(std::chrono::system_clock::now() + kStartMax)) {
    throw std::runtime_error(area + " did not start: " + processes_.at(area)->Output());
  }
  channels_.try_emplace(area, fresh);
}

void Programs::FillCatalog() const {
  pqxx::connection connection(database_.owner_url);
  pqxx::work work(connection);
  work.exec(kCatalog);
  work.commit();
}

std::string Programs::Target(const std::string& area) const { return "unix:" + (dir_ / (area + ".sock")).string(); }

}  // namespace allod
