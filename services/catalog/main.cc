// allod-catalog: publishers, models, versions, variants, listings, artifacts and the jobs that make them.
#include "services/catalog/artifact_service.h"
#include "services/catalog/job_changes.h"
#include "services/catalog/job_service.h"
#include "services/catalog/listing_service.h"
#include "services/catalog/model_service.h"
#include "services/catalog/operation_service.h"
#include "services/catalog/pg_store.h"
#include "services/catalog/price_books.h"
#include "services/common/clock.h"
#include "services/common/pg/service_config.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"

namespace allod::catalog {
namespace {

struct Config : ServiceConfig {
  std::string artifact_dir;
  std::string billing_target;
};

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  ReadServiceConfig(reader, config);
  reader.Required("artifact_dir", config.artifact_dir);
  reader.Address("billing_target", config.billing_target);
  return reader.Finish(std::move(config));
}

Status Run(const Config& config, StopSignal& stop) {
  sandbox::EnterServiceSandbox({.reads = {config.database.password_file},
                                .writes = {sandbox::SocketDirectory(config.listen), config.artifact_dir},
                                .network = !IsLocal(config.database)});
  const SystemClock clock;
  ALLOD_TRY(BlobStore blobs, BlobStore::Open(config.artifact_dir));
  PgPool pool(config.database);
  PgStore store(pool);
  JobChanges jobs_changed;
  GrpcPriceBooks price_books(config.billing_target);
  CallGates gates;
  PublisherServiceImpl publishers(store, clock, gates);
  ModelServiceImpl models(store, blobs, jobs_changed, clock, gates);
  ListingServiceImpl listings(store, price_books, clock, gates);
  ArtifactServiceImpl artifacts(blobs);
  JobServiceImpl jobs(store, blobs, jobs_changed, clock);
  OperationServiceImpl operations(store, jobs_changed);
  ALLOD_TRY(const auto server, Server::Start({.listen = config.listen, .credentials = {config.peer_uids}},
                                             {&publishers, &models, &listings, &artifacts, &jobs, &operations}));
  stop.Ready();
  stop.Wait();
  jobs_changed.Stop();
  server->Stop(std::chrono::seconds(1));
  return {};
}

}  // namespace
}  // namespace allod::catalog

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::catalog::Config>(argc, argv, "catalog", "Models, variants, listings and artifacts",
                                                    allod::catalog::LoadConfig, allod::catalog::Run);
}
