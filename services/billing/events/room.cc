#include "services/billing/events/room.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "services/billing/events/config.h"
#include "services/billing/events/convert_event.h"
#include "services/billing/events/event_export.h"
#include "services/billing/events/event_sink_service.h"
#include "services/billing/events/file_export.h"
#include "services/billing/events/pg_event_store.h"
#include "services/billing/events/pg_export_store.h"
#include "services/billing/events/redis_export.h"
#include "services/billing/events/relay.h"
#include "services/common/web/curl_fetcher.h"

namespace allod::billing::events {
namespace {

constexpr int kConnections = 2;

// Where the operator wants events.
class Exports {
 public:
  Exports(const Config& config, ExportStore& store, const Clock& clock) : store_(store) {
    if (!config.file.empty()) {
      file_.emplace(FileExport::Options{.path = config.file,
                                        .bytes_max = static_cast<std::uint64_t>(config.file_bytes_max),
                                        .kept = config.files_kept});
      Add("file", *file_, clock);
    }
    if (!config.redis_url.empty()) {
      redis_.emplace(RedisExport::Options{.url = config.redis_url, .stream = config.redis_stream});
      Add("redis", *redis_, clock);
    }
  }
  // The database may be away: it is asked again until it knows them. What it does not know has no cursor.
  void Start() {
    setting_ = OwnedThread("exports", [this](const std::stop_token& stop) {
      while (!store_.SetExports(names_)) {
        if (!SleepFor(stop, std::chrono::seconds(1))) return;
      }
      for (const auto& loop : loops_) loop->Start();
    });
  }
  void Stop() {
    setting_.Stop();
    for (const auto& loop : loops_) loop->Stop();
  }

 private:
  void Add(const std::string& name, EventExport& destination, const Clock& clock) {
    names_.push_back(name);
    loops_.push_back(std::make_unique<ExportLoop>(store_, destination, name, clock));
  }

  ExportStore& store_;
  std::vector<std::string> names_;
  std::optional<FileExport> file_;
  std::optional<RedisExport> redis_;
  std::vector<std::unique_ptr<ExportLoop>> loops_;
  OwnedThread setting_;
};

class EventsRoom final : public Room {
 public:
  EventsRoom(const Shared& shared, const Config& config, SinkSecrets secrets)
      : sends_(config.sends()),
        secrets_(std::move(secrets)),
        pool_(OwnPool(shared.config.database, kConnections, "allod-events")),
        store_(pool_, UsageJson),
        fetcher_(AddressPolicy(config.networks_allowed),
                 CurlFetcher::Options{.ca_file = config.ca_file,
                                      .who = "billing service",
                                      .setting = "event_networks_allowed in billing's configuration"}),
        service_(store_, sends_ ? std::optional(Sending{secrets_, fetcher_}) : std::nullopt, shared.clock,
                 shared.gates),
        relay_(store_, fetcher_, secrets_, shared.clock),
        export_store_(pool_, UsageJson),
        exports_(config, export_store_, shared.clock) {}

  std::vector<grpc::Service*> services() override { return {&service_}; }
  void Start() override {
    relay_.Start(sends_);
    exports_.Start();
  }
  void Stop() override {
    exports_.Stop();
    relay_.Stop();
    fetcher_.Stop();
  }

 private:
  const bool sends_;
  const SinkSecrets secrets_;
  PgPool pool_;
  PgEventStore store_;
  CurlFetcher fetcher_;
  EventSinkServiceImpl service_;
  Relay relay_;
  PgExportStore export_store_;
  Exports exports_;
};

class EventsPlan final : public RoomPlan {
 public:
  void Read(ConfigReader& reader) override { ReadConfig(reader, config_); }
  void AddNeeds(sandbox::ServiceNeeds& needs) const override {
    for (const std::string& file : {config_.secret_file, config_.ca_file}) {
      if (!file.empty()) needs.reads.emplace_back(file);
    }
    if (!config_.file.empty()) needs.writes.push_back(std::filesystem::path(config_.file).parent_path());
    // Receivers are anywhere.
    if (config_.sends() || !config_.redis_url.empty()) needs.network = true;
  }
  Result<std::unique_ptr<Room>> Make(const Shared& shared) const override {
    ALLOD_TRY(SinkSecrets secrets, LoadSecrets(config_));
    return std::unique_ptr<Room>(std::make_unique<EventsRoom>(shared, config_, std::move(secrets)));
  }

 private:
  Config config_;
};

}  // namespace

std::unique_ptr<RoomPlan> PlanRoom() { return std::make_unique<EventsPlan>(); }

}  // namespace allod::billing::events
