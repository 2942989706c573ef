// What every long-running process does around its own wiring: command line, configuration, logging, signals, readiness.
//
//   int main(int argc, char** argv) {
//     return allod::ServiceMain<Config>(argc, argv, "billing", "Usage, ledger and invoices", LoadConfig,
//                                       [](const Config& config, StopSignal& stop) -> Status { ...; stop.Wait(); return
//                                       {}; });
//   }
//
// Options: --config FILE (required), --check-config (validate, print OK, exit 0), --help, --version. SIGTERM and SIGINT
// end StopSignal::Wait(); run() then stops what it started and returns. Exit status: 0; 1 run() failed; 2 usage or
// configuration. sd_notify(READY=1) is sent to NOTIFY_SOCKET, if set, when run() calls stop.Ready().
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "services/common/config.h"
#include "services/common/result.h"

namespace allod {

class StopSignal {
 public:
  StopSignal();  // blocks SIGTERM and SIGINT in this thread and those it starts
  ~StopSignal();
  void Ready();  // the process serves
  void Wait();   // until SIGTERM, SIGINT or RequestStop()
  void RequestStop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

int ServiceMainImpl(int argc, char** argv, const std::string& name, const std::string& description,
                    const std::function<Status(const ConfigFile&, bool check_only, StopSignal&)>& body);

template <typename Config>
int ServiceMain(int argc, char** argv, const std::string& name, const std::string& description,
                Result<Config> (*load)(const ConfigFile&),
                const std::function<Status(const Config&, StopSignal&)>& run) {
  return ServiceMainImpl(argc, argv, name, description,
                         [&](const ConfigFile& file, bool check_only, StopSignal& stop) -> Status {
                           ALLOD_TRY(const Config config, load(file));
                           if (check_only) return {};
                           return run(config, stop);
                         });
}

}  // namespace allod
