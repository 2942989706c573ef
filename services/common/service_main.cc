#include "services/common/service_main.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "services/common/log.h"
#include "services/common/owned_fd.h"
#include "services/common/wake_fd.h"

namespace allod {
namespace {

constexpr char kVersion[] = "0.1.0";

// Tells systemd, or whoever set NOTIFY_SOCKET, that the process serves. Nobody listening is fine.
void NotifyReady() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || *path == '\0' || std::strlen(path) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // abstract socket
  const OwnedFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  constexpr char kMessage[] = "READY=1";
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  (void)sendto(fd.get(), kMessage, sizeof kMessage - 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               length);
}

int Report(const Error& error, int exit_status) {
  Log(LogLevel::kError, error.message, {{"code", std::string(CodeName(error.code))}, {"reason", error.reason}});
  return exit_status;
}

}  // namespace

struct StopSignal::Impl {
  sigset_t signals{};
  sigset_t before{};
  OwnedFd signal_fd;
  WakeFd stop;  // once it was asked for, for ever
};

StopSignal::StopSignal() : impl_(std::make_unique<Impl>()) {
  sigemptyset(&impl_->signals);
  sigaddset(&impl_->signals, SIGTERM);
  sigaddset(&impl_->signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &impl_->signals, &impl_->before);
  impl_->signal_fd = OwnedFd(signalfd(-1, &impl_->signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!impl_->signal_fd || !impl_->stop) std::abort();
}

StopSignal::~StopSignal() {
  impl_->signal_fd.Reset();
  pthread_sigmask(SIG_SETMASK, &impl_->before, nullptr);
}

void StopSignal::Ready() {
  Log(LogLevel::kInfo, "ready");
  NotifyReady();
}

void StopSignal::Wait() {
  while (true) {
    pollfd watched[2] = {{impl_->stop.get(), POLLIN, 0}, {impl_->signal_fd.get(), POLLIN, 0}};
    if (poll(watched, 2, -1) < 0 && errno != EINTR) std::abort();
    if ((watched[0].revents & POLLIN) != 0) return;
    signalfd_siginfo info{};
    if (read(impl_->signal_fd.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      Log(LogLevel::kInfo, "stopping", {{"signal", strsignal(static_cast<int>(info.ssi_signo))}});
      RequestStop();
    }
  }
}

void StopSignal::RequestStop() { impl_->stop.Wake(); }

int ServiceMainImpl(int argc, char** argv, const std::string& name, const std::string& description,
                    const std::function<Status(const ConfigFile&, bool check_only, StopSignal&)>& body) {
  CLI::App app(description, "allod-" + name);
  std::string config_path;
  bool check_config = false;
  app.add_option("--config", config_path, "JSON configuration file")->required();
  app.add_flag("--check-config", check_config, "Validate the configuration, print OK and exit");
  app.set_version_flag("--version", "allod-" + name + " " + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  InitLog(name);
  signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of one call, not the end of the process
  StopSignal stop;
  const auto file = ReadConfigFile(config_path);
  if (!file) return Report(file.error(), 2);
  if (const Status checked = body(*file, /*check_only=*/true, stop); !checked) return Report(checked.error(), 2);
  if (check_config) {
    std::cout << "OK\n";
    return 0;
  }
  if (const Status ran = body(*file, /*check_only=*/false, stop); !ran) return Report(ran.error(), 1);
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace allod
