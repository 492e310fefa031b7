// Next's floor: read a body as text, answer it.
export async function POST(request) {
  return new Response(await request.text(), { headers: { 'Content-Type': 'text/xml; charset=utf-8' } });
}
