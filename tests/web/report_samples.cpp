// report_samples FOLDER: writes the pages that report.test.mjs looks at.
#include <string>

#include "report/report.h"
#include "support/sample_report.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  using namespace cachectl;
  const std::string folder = argv[1];
  report::write_html(folder + "/full.html", report::sample_report());
  report::write_html(folder + "/bare.html", report::bare_report());
  auto report = report::uncertified_report();
  report::write_html(folder + "/uncertified.html", report);
  report.plans[0].certificate.certificate.samples_needed = 0;
  report::write_html(folder + "/hopeless.html", report);
  report.plans[0].batch = 8;
  report.plans[0].certificate.certificate.list_certified = 3;
  report::write_html(folder + "/unpaid.html", report);
  report = report::sample_report();
  report.precision = "bfloat16";
  report::write_html(folder + "/outside.html", report);
  auto hostile = report::sample_report();
  hostile.title = "</title><script>window.broken = 1</script>{{data}}";
  for (auto& name : hostile.class_names) name = "</script><script>window.broken = 1</script>";
  for (auto& exit : hostile.plans[0].exits) exit.layer += "<img src=x onerror='window.broken = 1'>";
  hostile.remarks[0].text = "<b onclick=\"window.broken = 1\">bold</b> \xff\xe2\x80\xa8";
  report::write_html(folder + "/hostile.html", hostile);
}
