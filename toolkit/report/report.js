// Unpack plotly.js from the page itself, then draw every figure into the element of its name.
(async () => {
  const text = (id) => document.getElementById(id).textContent;
  const packed = Uint8Array.from(atob(text("plotly")), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.head.append(script);

  const figures = JSON.parse(text("figures"));
  const places = Object.keys(figures).map((id) => document.getElementById(id));
  const options = { responsive: true, displayModeBar: false };
  for (const place of places) {
    const figure = figures[place.id];
    await Plotly.newPlot(place, figure.data, figure.layout, options);
  }
  // a sheet of paper is narrower than the window the figures were drawn for
  addEventListener("beforeprint", () => places.forEach((place) => Plotly.relayout(place, { width: 640 })));
  addEventListener("afterprint", () => places.forEach((place) => Plotly.relayout(place, { width: null, autosize: true })));
})().catch((error) => {
  for (const place of document.querySelectorAll(".plot")) {
    place.textContent = "The figure could not be drawn by this browser; the table holds its numbers.";
  }
  console.error(error);
});
