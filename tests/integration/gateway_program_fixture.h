// The gateway as a process of its own between peers of the test's own.
#pragma once

#include <cstdlib>

#include "tests/integration/gateway_fixture.h"
#include "tests/support/process.h"

namespace allod::gateway {

class GatewayProgramTest : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    gateway_->Stop();
    gateway_.reset();
    directory_.Write("pepper", kPepper);
    Configure(nlohmann::json::object());
  }

  // Adds `more` to what the program needs at least.
  void Configure(const nlohmann::json& more) {
    nlohmann::json config = {{"http_listen", "127.0.0.1:0"},
                             {"tenancy_target", Target("tenancy")},
                             {"catalog_target", Target("catalog")},
                             {"billing_target", Target("billing")},
                             {"scheduling_target", Target("scheduling")},
                             {"jurisdiction", "ke"},
                             {"api_key_pepper_file", (directory_ / "pepper").string()},
                             {"journal_dir", (directory_ / "program-journal").string()}};
    config.update(more);
    directory_.Write("gateway.json", config.dump());
  }

  // Starts the program and waits until it is ready; `port` is where.
  std::unique_ptr<Process> StartProgram(const std::string& log, int& port) {
    const char* build = std::getenv("ALLOD_BUILD_DIR");
    EXPECT_NE(build, nullptr) << "run this through ctest";
    auto process =
        std::make_unique<Process>(std::vector<std::string>{std::string(build ? build : ".") + "/bin/allod-gateway",
                                                           "--config", (directory_ / "gateway.json").string()},
                                  ProcessOptions{.output = directory_ / log});
    EXPECT_TRUE(Eventually([&] { return process->Output().find("port=") != std::string::npos; })) << process->Output();
    const std::string output = process->Output();
    port = std::atoi(output.substr(output.find("port=") + 5).c_str());
    EXPECT_TRUE(Eventually([&] { return Fetch(port, "GET", "/readyz", "").status == 200; }));
    return process;
  }
};

}  // namespace allod::gateway
